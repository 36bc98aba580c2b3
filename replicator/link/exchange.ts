import { crc32 } from "node:zlib";
import { z } from "zod";
import { ByteSource } from "../change/byte-source.ts";
import { TomboloError } from "../change/error.ts";
import { channelName, position, tableName } from "../change/names.ts";
import { FIRST_BYTE, packetBytes } from "../change/packet-frame.ts";
import { NODE_LIMITS, type PacketLimits } from "../change/packet-limits.ts";
import { receiptSchema } from "./receipts.ts";
import type { TableStart } from "./relay.ts";
import { reportSchema } from "./report.ts";

/**
 * The bytes of an exchange, in either direction:
 *
 *     length 4 | crc32 4 | head | any number of packets | length 4 | crc32 4 | tail
 *
 * Numbers are big-endian, head and tail are JSON with their checksums, packets are as `encodePacket` makes them. A packet begins with `T`, and no length does: so the end
 * of the packets shows, and a body without its tail is one that was cut off.
 */
export const EXCHANGE_TYPE = "application/vnd.tombolo.exchange";
export const PACKET_TYPE = "application/vnd.tombolo.packet";

/** More is no head. */
const LONGEST_JSON = 4 * 2 ** 20;

const name = z.string().min(1).max(500);
const count = z.int().min(0);
const digits = z.string().regex(/^\d{1,18}$/);

export const startSchema = z
  .object({ channel: name, tables: z.array(name), at: z.string().regex(/^(0|[1-9]\d{0,18})$/) })
  .transform(({ channel, tables, at }): TableStart => ({ channel: channelName(channel), tables: tables.map(tableName), at: position(at) }));

/**
 * What may be said to each other beyond what every version knows: an edge lists those that it understands, to a hub that has listed any itself, and is told nothing of the
 * others. So either side may be the newer one. Whatever is not known besides is passed over. `verify` is no wish of its own: full syncs may end with a comparison.
 */
export const EXCHANGE_FEATURES: readonly string[] = ["full_sync", "full_sync_push", "resync", "reconcile", "verify"];
/** What a hub can do besides, for edges that know to ask for it. */
export const HUB_FEATURES: readonly string[] = [...EXCHANGE_FEATURES, "images", "automatic_reconcile"];

/** What an edge begins an exchange with. */
export const requestHead = z.object({
  report: reportSchema,
  features: z.array(z.string().max(100)).max(100).default([]),
  /** How long the way to the hub and back last took, milliseconds. */
  round_trip_ms: z.number().min(0).max(60_000).default(0),
  starts: z.array(startSchema).default([]),
  /** All that is there is to be sent, and not only what is at hand. */
  final: z.boolean().default(false),
  /** Where there is nothing to send: how long to wait for something, seconds. */
  wait_seconds: z.number().min(0).max(55).default(0),
});

const fullSyncWish = { run: digits, tables: z.array(name), verify: z.boolean().default(false) };

/** The two are to begin anew, and a full sync is to follow. */
export const resyncWish = z
  .object({ ...fullSyncWish, direction: z.enum(["pull", "push"]) })
  .nullable()
  .default(null);

/** What the hub answers with, before its own packets. */
export const answerHead = z.object({
  report: reportSchema,
  receipts: z.array(receiptSchema),
  /** Parked changes of the edge that went through now. */
  retried: count,
  /** Of what the edge is to know of the topology; when it changes, the edge asks for that anew. */
  manifest: z.string(),
  /** A full sync that the edge is to begin. */
  full_sync: z.object(fullSyncWish).nullable().default(null),
  /** A full sync in which the hub is to take over what the edge has. An edge that does not know of it must not take it for the other. */
  full_sync_push: z.object(fullSyncWish).nullable().default(null),
  resync: resyncWish,
  /** A comparison with the hub that the edge is to begin. */
  reconcile: z
    .object({ run: digits, name, repair: z.enum(["report", "parent", "newest"]), scope: z.enum(["all", "changed"]).default("all") })
    .nullable()
    .default(null),
});

/** What it ends with. `sent` and `received` as the edge sees them. */
export const answerTail = z.object({ sent: count, received: count, conflicts: count, parked: count });

export function jsonSection(value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(text.length);
  head.writeUInt32BE(crc32(text), 4);
  return Buffer.concat([head, text]);
}

/** Reads an exchange, section by section. */
export class ExchangeReader {
  readonly #source: ByteSource;
  readonly #limits: PacketLimits;

  constructor(bytes: AsyncIterable<Uint8Array>, limits: PacketLimits = NODE_LIMITS) {
    this.#source = new ByteSource(bytes);
    this.#limits = limits;
  }

  /** Throws `EXCHANGE_INVALID` (operator) or `PACKET_TRUNCATED` (operator). */
  async json<T extends z.ZodType>(schema: T): Promise<z.output<T>> {
    const head = await this.#source.take(8);
    const length = head.readUInt32BE();
    const checksum = head.readUInt32BE(4);
    if (length > LONGEST_JSON) throw invalid("a head or tail is too long");
    const text = await this.#source.take(length);
    // positions are in it: a wrong one must not be believed
    if (crc32(text) !== checksum) throw invalid("a checksum is wrong");
    const parsed = schema.safeParse(jsonOf(text.toString()));
    if (parsed.success) return parsed.data;
    // only paths are shown: what a stranger sent does not belong in a log
    throw invalid(`wrong: ${[...new Set(parsed.error.issues.map((issue) => issue.path.join(".") || "its keys"))].join(", ")}`);
  }

  /** The bytes of one packet after the other; each must be read before the next is asked for. */
  async *packets(): AsyncGenerator<AsyncIterable<Uint8Array>> {
    while (!(await this.#source.ended()) && (await this.#source.peek(1))[0] === FIRST_BYTE) yield packetBytes(this.#source, this.#limits);
  }

  /** Nothing more may come. Throws `EXCHANGE_INVALID`. */
  async end(): Promise<void> {
    if (!(await this.#source.ended())) throw invalid("it goes on after its end");
  }

  /** Lets go of the rest. */
  close(): Promise<void> {
    return this.#source.close();
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const invalid = (why: string): TomboloError =>
  new TomboloError(`the exchange is not valid: ${why}`, {
    code: "EXCHANGE_INVALID",
    kind: "operator",
    hint: "run versions on both sides that know each other; GET /v1/ping tells what the hub reads",
  });
