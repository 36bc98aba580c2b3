import { createHash } from "node:crypto";
import { crc32, gunzipSync, gzipSync } from "node:zlib";
import type { Change } from "../../replicator/change/change.ts";
import { channelName, epoch, nodeName, packetNumber, position, scopeNumber, tableName } from "../../replicator/change/names.ts";
import type { PacketHeader, Part } from "../../replicator/change/packet.ts";
import { encodePacket } from "../../replicator/change/packet-codec.ts";
import { packet } from "../../replicator/change/packet-seal.ts";
import type { Random } from "../helpers/random.ts";

/** A frame as this file reads and writes it: it does not use what it tests. */
export interface RawFrame {
  readonly kind: string;
  readonly text: Buffer;
  readonly packed: boolean;
}

const PREAMBLE = Buffer.from("TOMBOLO\u0001", "latin1");
const HEAD = 14;

/** Of bytes that are whole. */
export function framesOf(bytes: Buffer): RawFrame[] {
  const frames: RawFrame[] = [];
  for (let at = PREAMBLE.length; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 6);
    const payload = bytes.subarray(at + HEAD, at + HEAD + length);
    const packed = bytes[at + 1] === 1;
    frames.push({ kind: String.fromCharCode(bytes[at] as number), text: packed ? gunzipSync(payload) : Buffer.from(payload), packed });
    at += HEAD + length;
  }
  return frames;
}

/** `rawLength`: what the frame says of its size, if that is to be something else. The checksum is right. */
export function frameOf({ kind, text, packed }: RawFrame, lie: { readonly rawLength?: number; readonly codec?: number } = {}): Buffer {
  const payload = packed ? gzipSync(text) : text;
  const head = Buffer.alloc(HEAD);
  head.write(kind, 0, "latin1");
  head.writeUInt8(lie.codec ?? (packed ? 1 : 0), 1);
  head.writeUInt32BE(lie.rawLength ?? text.length, 2);
  head.writeUInt32BE(payload.length, 6);
  head.writeUInt32BE(crc32(payload, crc32(head.subarray(0, 10))), 10);
  return Buffer.concat([head, payload]);
}

export const bytesOf = (frames: readonly Buffer[]): Buffer => Buffer.concat([PREAMBLE, ...frames]);

/** The end that belongs to a header and parts, as the format says. */
export function endOf(header: Buffer, parts: readonly Buffer[]): Buffer {
  const digest = createHash("sha256").update(header).update("\n");
  for (const part of parts) digest.update(part).update("\n");
  const changes = parts.reduce((sum, part) => sum + part.filter((byte) => byte === 10).length, 0);
  return Buffer.from(JSON.stringify({ parts: parts.length, changes, digest: digest.digest("hex") }));
}

const TEXTS = ["", "a", "\t\n", "é🏝", "\u0000", "__proto__", '"', "\\", "x".repeat(90), "\u2028"];

function image({ int, pick, chance }: Random): string {
  const row: { [column: string]: unknown } = { id: chance(0.5) ? String(int(9)) : { i: String(int(9) - 4) } };
  for (let left = int(4); left > 0; left--) {
    const value = [null, pick(TEXTS), { i: "-9223372036854775808" }, { r: pick(["0.1", "-Infinity", "1e-300"]) }, { b: "00ff" }][int(5)];
    row[pick(["note", "größe", "__proto__x", " "])] = value;
  }
  return JSON.stringify(row);
}

function change(random: Random): Change {
  const by = { table: random.int(2), key: image(random), changedAt: 1_700_000_000_000_000 + random.int(1_000_000) };
  switch (random.int(5)) {
    case 0:
      return { ...by, op: "I", old: null, new: image(random) };
    case 1:
      return { ...by, op: "U", old: image(random), new: image(random) };
    case 2:
      return { ...by, op: "D", old: random.chance(0.5) ? image(random) : null, new: null };
    case 3:
      return { ...by, op: "R", old: null, new: random.chance(0.5) ? image(random) : null };
    default:
      return { ...by, op: "T", key: "", old: null, new: null };
  }
}

function header({ int, pick, chance }: Random): PacketHeader {
  const table = (name: string) => ({
    table: tableName(name),
    channel: channelName("sales"),
    engine: pick(["postgres", "sqlite"] as const),
    columns: [
      { name: "id", type: "bigint", base: "int8", notNull: true },
      { name: "note", type: "text", notNull: false },
    ],
    key: ["id"],
    hash: "h",
    ...(chance(0.3) && { references: [{ table: tableName("other"), columns: ["note"], to: ["id"] }] }),
  });
  const isFill = chance(0.3);
  return {
    protocol: 1,
    source: nodeName("hub"),
    target: nodeName("store-1"),
    epoch: epoch("0b1f6b0e-3c50-4d6d-9f43-0d2a6ad6a2a1"),
    number: packetNumber(int(1000)),
    previous: chance(0.5) ? "" : "ab".repeat(32),
    kind: isFill ? "fill" : "changes",
    channels: [channelName("sales")],
    after: position(int(50)),
    upTo: position(50 + int(50)),
    tables: [table("shop.orders"), table("note")],
    seen: chance(0.5) ? {} : { sales: position(3) },
    ...(isFill && { scopes: [null, scopeNumber(3)] }),
  };
}

/** Packets of every kind, as this version writes them. */
export async function corpus(random: Random, count: number): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for (let made = 0; made < count; made++) {
    const parts: Part[] = Array.from({ length: random.int(4) }, () => Array.from({ length: 1 + random.int(9) }, () => change(random)));
    async function* each(): AsyncGenerator<Part> {
      yield* parts;
    }
    const pieces: Buffer[] = [];
    const made = packet({ header: header(random), parts: each() });
    for await (const piece of encodePacket(made, random.pick(["none", "gzip"]))) pieces.push(piece);
    all.push(Buffer.concat(pieces));
  }
  return all;
}
