import { z } from "zod";
import { channelName, epoch, packetNumber, position, scopeNumber, type TableName, tableName } from "../change/names.ts";
import { shapeSchema } from "../change/packet-header.ts";
import type { TableShape } from "../change/shape.ts";
import type { RefusedChanges } from "../node/parked-desk.ts";
import type { PeerState } from "../node/target.ts";

/** What one end of a link tells the other, whatever it is that carries it. */
export interface Report {
  /** What it has received of the other. */
  readonly state: PeerState;
  /** Its node's clock as the report was made, milliseconds since 1970. */
  readonly clockMs: number;
  /** A parent's: what it has set aside of the child's changes. */
  readonly refused: RefusedChanges;
  /** Tables whose shapes it asks for: changes that it has set aside have columns of which their packets' shapes did not know. */
  readonly asked: readonly TableName[];
  /** The tables that the other has asked for, as they are here today. */
  readonly shapes: readonly TableShape[];
}

export const NOTHING_REFUSED: RefusedChanges = { total: 0, changes: [] };

const name = z.string().min(1).max(500);
const digits = z.string().regex(/^(0|[1-9]\d{0,18})$/);
const place = digits.transform((text) => position(text));
/** Names come from a stranger: kept in maps, never as keys of an object. */
const byName = <K, V>(key: (text: string) => K, value: z.ZodType<V>) =>
  z.array(z.tuple([name.transform(key), value])).transform((pairs): ReadonlyMap<K, V> => new Map(pairs));

const stateSchema = z.object({
  epoch: name.transform(epoch).nullable(),
  number: digits.transform((text) => packetNumber(text)),
  digest: z.string().regex(/^([0-9a-f]{64})?$/),
  channels: byName(channelName, z.object({ position: place, ahead: byName(tableName, place) })),
  seen: byName((text) => text, place),
  tables: z.array(name.transform(tableName)).transform((names) => new Set(names)),
  started_at: byName(tableName, place),
  scopes: byName(
    tableName,
    digits.transform((text) => scopeNumber(text)),
  ),
  paused: z.boolean(),
  has_parked: z.boolean(),
  wanted: z.array(z.object({ table: name.transform(tableName), key: z.string() })),
});

const refusedSchema = z.object({
  total: z.int().min(0),
  changes: z.array(
    z.object({
      table: name.transform(tableName),
      op: z.string(),
      key: z.string(),
      code: z.string(),
      reason: z.string(),
      parked_at: z.string(),
    }),
  ),
});

/** A report as JSON: big numbers are text, maps are lists of pairs. */
export const reportSchema = z
  .object({
    state: stateSchema,
    clock_ms: z.number(),
    refused: refusedSchema,
    // an older end neither asks nor tells
    asked: z.array(name.transform(tableName)).default([]),
    shapes: z.array(shapeSchema).default([]),
  })
  .transform(({ state, clock_ms: clockMs, refused, asked, shapes }): Report => {
    const { started_at: startedAt, has_parked: hasParked, seen, ...same } = state;
    return {
      state: { ...same, seen: Object.fromEntries(seen), startedAt, hasParked },
      clockMs,
      refused: { total: refused.total, changes: refused.changes.map(({ parked_at: parkedAt, ...change }) => ({ ...change, parkedAt })) },
      asked,
      shapes,
    };
  });

export type ReportJson = Omit<z.input<typeof reportSchema>, "shapes"> & { readonly shapes: readonly TableShape[] };

export function reportJson({ state, clockMs, refused, asked, shapes }: Report): ReportJson {
  const { epoch: life, number, digest, channels, seen, tables, startedAt, scopes, paused, hasParked, wanted } = state;
  const pairs = <K extends string>(map: ReadonlyMap<K, bigint>): [string, string][] =>
    [...map].map(([key, value]) => [key, value.toString()]);
  return {
    state: {
      epoch: life,
      number: number.toString(),
      digest,
      channels: [...channels].map(([channel, { position: at, ahead }]) => [channel, { position: at.toString(), ahead: pairs(ahead) }]),
      seen: Object.entries(seen).map(([channel, at]) => [channel, at.toString()]),
      tables: [...tables],
      started_at: pairs(startedAt),
      scopes: pairs(scopes),
      paused,
      has_parked: hasParked,
      wanted: [...wanted],
    },
    clock_ms: clockMs,
    refused: {
      total: refused.total,
      changes: refused.changes.map(({ parkedAt, ...change }) => ({ ...change, parked_at: parkedAt })),
    },
    asked: [...asked],
    shapes,
  };
}
