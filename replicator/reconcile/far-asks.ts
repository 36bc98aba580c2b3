import { z } from "zod";
import { type Position, position } from "../change/names.ts";
import { shapeSchema } from "../change/packet-header.ts";
import type { RowDigest } from "../node/digest.ts";

/** What an edge asks its hub while the two are compared. Each is answered at a cut of its own, so that nothing is open between two. */

const name = z.string().min(1).max(500);
const keyText = z.array(z.string().nullable());
const rowText = z.record(z.string(), z.any());
const LONGEST = 1 << 16;
/** A `KeyText`. */
const key = z
  .string()
  .max(LONGEST)
  .refine((text) => keyText.safeParse(jsonOf(text)).success);
/** The key of a row as the hub told it. */
const rowKey = z
  .string()
  .max(LONGEST)
  .refine((text) => rowText.safeParse(jsonOf(text)).success);
const digits = z.string().regex(/^(0|[1-9]\d{0,18})$/);
const count = z.int().min(0);
/** A key, or how the digest of one begins. */
const bound = z.union([key, z.string().regex(/^[0-9a-f]{0,32}$/)]).nullable();
const range = z.strictObject({ from: bound, to: bound }).meta({ description: "Half-open; null has no end." });
const ranges = z.array(range).max(5_000);
const row = z.record(z.string(), z.any()).nullable();
const micros = z.number().nullable();
const texts = z.array(z.string().nullable());
/** The table as the edge has it: by that, and what the hub has, both know how it is digested. */
const shape = shapeSchema;
const keys = z.array(key).max(20_000);
const run = z.string().min(1).max(100);

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Rows that give way, as the edge had them when it compared. */
const discarded = z.strictObject({
  key,
  kind: z.enum(["update_update", "update_delete", "delete_update"]),
  resolution: z.enum(["parent", "child"]),
  child_row: row,
  parent_changed_at: micros,
  child_changed_at: micros,
});

export const compareAsk = z.discriminatedUnion("ask", [
  z.strictObject({ ask: z.literal("tables"), only: z.array(name).max(10_000).nullable() }),
  z.strictObject({ ask: z.literal("bounds"), shape, range, rows: z.int().min(1).max(1_000_000), count: z.int().min(1).max(1000) }),
  z.strictObject({ ask: z.literal("digests"), shape, ranges }),
  z.strictObject({ ask: z.literal("buckets"), shape, digits: z.int().min(0).max(4) }),
  z.strictObject({ ask: z.literal("list"), shape, ranges }),
  z.strictObject({ ask: z.literal("digests_of"), shape, keys }),
  z.strictObject({ ask: z.literal("hold"), run, tables: z.array(name).max(10_000) }),
  z.strictObject({ ask: z.literal("changed"), shapes: z.array(shape).max(1_000), after: digits }),
  z.strictObject({
    ask: z.literal("compared"),
    run,
    tables: z.array(z.strictObject({ table: name, left: z.array(key).max(1_000), as: run })).max(10_000),
    for_ms: z.int().min(0),
  }),
  z.strictObject({ ask: z.literal("rows"), tables: z.array(z.strictObject({ shape, keys })).max(1_000) }),
  z.strictObject({ ask: z.literal("normalised"), shape, rows: z.array(texts).max(1_000) }),
  z.strictObject({
    ask: z.literal("news"),
    tables: z.array(z.strictObject({ shape, keys })).max(1_000),
    after: digits,
    up_to: digits,
  }),
  z.strictObject({ ask: z.literal("parked"), table: name }),
  z.strictObject({ ask: z.literal("last_changed"), shape, keys: z.array(rowKey).max(1_000) }),
  z.strictObject({ ask: z.literal("overrule"), shape, keys: z.array(key).max(1_000), discarded: z.array(discarded).max(1_000), who: name }),
  z.strictObject({ ask: z.literal("record"), shape, discarded: z.array(discarded).max(1_000), who: name }),
]);

export type CompareAsk = z.output<typeof compareAsk>;

const failure = z.looseObject({ code: z.string(), kind: z.string(), message: z.string(), hint: z.string().nullable() });

export const tablesAnswer = z.looseObject({
  clock_ms: z.number(),
  epoch: z.string(),
  tables: z.array(
    z.looseObject({
      name,
      channel: name,
      direction: z.enum(["both", "down", "up"]),
      filtered: z.boolean(),
      shape,
      ahead: digits.nullable(),
    }),
  ),
  skipped: z.array(z.looseObject({ name, error: failure })),
});
export const keysAnswer = z.looseObject({ keys: z.array(z.string()) });
export const digestsAnswer = z.looseObject({ ranges: z.array(z.tuple([bound, bound, count, z.string()])) });
export const listAnswer = z.looseObject({ rows: z.array(z.tuple([z.string(), z.string()])) });
export const rowsAnswer = z.looseObject({
  position: digits,
  seen: z.array(z.tuple([name, digits])),
  tables: z.array(z.array(z.looseObject({ key: z.string(), row: z.string(), texts: texts.nullable() }).nullable())),
});
export const digestsOfAnswer = z.looseObject({ digests: z.array(z.string().nullable()) });
export const holdAnswer = z.looseObject({
  tables: z.array(
    z.union([
      z.looseObject({ table: name, position: digits, left: z.array(z.string()), as: z.string() }),
      z.looseObject({ table: name, none: z.enum(["first", "log_not_kept", "filled_anew", "must_compare"]) }),
    ]),
  ),
});
/** By table: keys, or why they do not tell. */
export const changedAnswer = z.looseObject({
  tables: z.array(z.union([z.array(z.string()), z.enum(["emptied", "too_many", "log_not_kept"])])),
});
export const normalisedAnswer = z.looseObject({ digests: z.array(z.string().nullable()) });
/** Index of a table, operation, key. */
export const newsAnswer = z.looseObject({ news: z.array(z.tuple([count, z.string(), z.string()])) });
export const parkedAnswer = z.looseObject({ parked: z.array(z.looseObject({ op: z.string(), key: z.record(z.string(), z.any()) })) });
export const timesAnswer = z.looseObject({ times: z.array(z.number().nullable()) });

export const seenOf = (seen: readonly (readonly [string, string])[]): { readonly [channel: string]: Position } =>
  Object.fromEntries(seen.map(([channel, at]) => [channel, position(at)]));

export const pairsOf = (rows: readonly RowDigest[]): [string, string][] => rows.map(({ key: of, digest }) => [of, digest]);
