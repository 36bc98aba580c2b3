import { crc32 } from "node:zlib";
import { ByteSource } from "./byte-source.ts";
import type { Codec } from "./packet-compression.ts";
import { corrupt, tooLarge, unknownCodec, unknownProtocol } from "./packet-errors.ts";
import type { PacketLimits } from "./packet-limits.ts";

/**
 * The bytes of a packet: the word `TOMBOLO`, one byte of protocol, then frames. A frame is
 *
 *     kind 1 | codec 1 | raw length 4 | length 4 | crc32 4 | payload
 *
 * big-endian; the checksum is over all of the frame but itself, so that damage is found before anything is decompressed. Kinds in
 * order: one `H` (the header's text), any number of `P` (the text of a part), one `E` (JSON: parts, changes, digest), and nothing after it.
 */
export type FrameKind = "H" | "P" | "E";

export interface Frame {
  readonly kind: FrameKind;
  readonly codec: Codec;
  readonly rawLength: number;
  readonly payload: Buffer;
}

/** The first byte of every packet. */
export const FIRST_BYTE = 0x54;

const WORD = Buffer.from("TOMBOLO", "latin1");
export const PREAMBLE = Buffer.concat([WORD, Buffer.of(1)]);
const HEAD = 14;
const CODECS: readonly Codec[] = ["none", "gzip", "zstd"];

export function frameBytes({ kind, codec, rawLength, payload }: Frame): Buffer {
  const head = Buffer.alloc(HEAD);
  head.write(kind, 0, "latin1");
  head.writeUInt8(CODECS.indexOf(codec), 1);
  head.writeUInt32BE(rawLength, 2);
  head.writeUInt32BE(payload.length, 6);
  head.writeUInt32BE(crc32(payload, crc32(head.subarray(0, 10))), 10);
  return Buffer.concat([head, payload]);
}

/** Reads frames from bytes that arrive in any pieces. Holds one frame. Throws `PACKET_*` (operator). */
export async function* readFrames(bytes: AsyncIterable<Uint8Array>, limits: PacketLimits): AsyncGenerator<Frame> {
  const source = new ByteSource(bytes);
  const take = limited(source, limits.compressed);
  try {
    const preamble = await take(PREAMBLE.length);
    if (!preamble.subarray(0, WORD.length).equals(WORD)) throw corrupt("It does not begin like a packet.");
    const protocol = preamble.readUInt8(WORD.length);
    if (protocol !== 1) throw unknownProtocol(protocol);
    let raw = 0;
    for (let kind: FrameKind | null = null; kind !== "E"; ) {
      const head = await take(HEAD);
      const length = head.readUInt32BE(6);
      const rawLength = head.readUInt32BE(2);
      raw += rawLength;
      if (raw > limits.raw) throw tooLarge(`It takes more than ${limits.raw} bytes.`);
      if (rawLength > limits.part || length > limits.part) throw tooLarge(`A part takes more than ${limits.part} bytes.`);
      if (rawLength > length * limits.ratio) throw tooLarge(`A part grows more than ${limits.ratio} times.`);
      const payload = await take(length);
      if (crc32(payload, crc32(head.subarray(0, 10))) !== head.readUInt32BE(10)) throw corrupt("A checksum is wrong.");
      const codec = CODECS[head.readUInt8(1)];
      if (codec === undefined) throw unknownCodec(head.readUInt8(1));
      kind = kindOf(head.toString("latin1", 0, 1), kind);
      if (codec === "none" && rawLength !== length) throw corrupt("A length is wrong.");
      yield { kind, codec, rawLength, payload };
    }
    if (!(await source.ended())) throw corrupt("It goes on after its end.");
  } finally {
    await source.close();
  }
}

/**
 * The bytes of one packet out of a source that may hold more, in pieces as they come; nothing of it is checked but its size, and that it begins like a
 * packet. What is left in the source is what follows it.
 */
export async function* packetBytes(source: ByteSource, limits: PacketLimits): AsyncGenerator<Uint8Array> {
  const take = limited(source, limits.compressed);
  const preamble = await take(PREAMBLE.length);
  if (!preamble.subarray(0, WORD.length).equals(WORD)) throw corrupt("It does not begin like a packet.");
  yield preamble;
  for (let last = false; !last; ) {
    const head = await take(HEAD);
    const length = head.readUInt32BE(6);
    if (length > limits.part) throw tooLarge(`A part takes more than ${limits.part} bytes.`);
    yield head;
    yield await take(length);
    last = head[0] === END;
  }
}

const END = 0x45;

function kindOf(letter: string, before: FrameKind | null): FrameKind {
  if (before === null ? letter === "H" : letter === "P" || letter === "E") return letter as FrameKind;
  throw corrupt("Its frames are out of order.");
}

/** Counts what is taken: no more than the limit is ever held or read. */
function limited(source: ByteSource, limit: number): (length: number) => Promise<Buffer> {
  let taken = 0;
  return (length) => {
    taken += length;
    if (taken > limit) throw tooLarge(`It is sent in more than ${limit} bytes.`);
    return source.take(length);
  };
}
