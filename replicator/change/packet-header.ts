import { z } from "zod";
import {
  channelName,
  epoch,
  nodeName,
  type PacketNumber,
  type Position,
  packetNumber,
  position,
  type ScopeNumber,
  scopeNumber,
  tableName,
} from "./names.ts";
import type { PacketHeader } from "./packet.ts";
import { badHeader, tooLarge, unknownProtocol } from "./packet-errors.ts";
import { jsonDepth } from "./packet-rows.ts";

const MAX = 2n ** 63n - 1n;
const digits = z.string().refine((text) => /^(0|[1-9]\d{0,18})$/.test(text) && BigInt(text) <= MAX);
const toPosition = digits.transform((text): Position => position(text));
const toNumber = digits.transform((text): PacketNumber => packetNumber(text));
const toScope = digits.transform((text): ScopeNumber => scopeNumber(text));
const name = z.string().min(1).max(500);

/** A table's shape as JSON. */
export const shapeSchema = z.strictObject({
  table: name.transform(tableName),
  channel: name.transform(channelName),
  engine: z.enum(["postgres", "sqlite"]),
  columns: z.array(z.strictObject({ name, type: z.string(), base: z.string().exactOptional(), notNull: z.boolean() })),
  key: z.array(name),
  references: z.array(z.strictObject({ table: name.transform(tableName), columns: z.array(name), to: z.array(name) })).exactOptional(),
  hash: z.string(),
});

const schema = z.strictObject({
  protocol: z.literal(1),
  source: name.transform(nodeName),
  target: name.transform(nodeName),
  epoch: name.transform(epoch),
  number: toNumber,
  previous: z.string().regex(/^([0-9a-f]{64})?$/),
  kind: z.enum(["changes", "fill"]),
  channels: z.array(name.transform(channelName)),
  after: toPosition,
  upTo: toPosition,
  tables: z.array(shapeSchema),
  seen: z.record(name, toPosition),
  scopes: z.array(toScope.nullable()).exactOptional(),
});

/** Reads the header's text. Throws `PACKET_PROTOCOL`, `PACKET_HEADER` or `PACKET_TOO_LARGE` (operator). */
export function parseHeader(text: string, maxDepth: number): PacketHeader {
  if (jsonDepth(text) > maxDepth) throw tooLarge("Its header is nested too deeply.");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badHeader("It is not JSON.");
  }
  const protocol = typeof value === "object" && value !== null && "protocol" in value ? value.protocol : undefined;
  if (typeof protocol === "number" && protocol !== 1) throw unknownProtocol(protocol);
  const parsed = schema.safeParse(value);
  // only paths are shown: what a stranger sent does not belong in a log
  if (!parsed.success)
    throw badHeader(`Wrong: ${[...new Set(parsed.error.issues.map((issue) => issue.path.join(".") || "its keys"))].join(", ")}.`);
  if (parsed.data.after > parsed.data.upTo) throw badHeader("It ends before it begins.");
  return parsed.data;
}
