import { crc32 } from "node:zlib";
import type { Codec } from "./packet-compression.ts";
import { corrupt, tooLarge, truncated, unknownCodec, unknownProtocol } from "./packet-errors.ts";
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
  const source = takeFrom(bytes, limits.compressed);
  try {
    const preamble = await source.take(PREAMBLE.length);
    if (!preamble.subarray(0, WORD.length).equals(WORD)) throw corrupt("It does not begin like a packet.");
    const protocol = preamble.readUInt8(WORD.length);
    if (protocol !== 1) throw unknownProtocol(protocol);
    let raw = 0;
    for (let kind: FrameKind | null = null; kind !== "E"; ) {
      const head = await source.take(HEAD);
      const length = head.readUInt32BE(6);
      const rawLength = head.readUInt32BE(2);
      raw += rawLength;
      if (raw > limits.raw) throw tooLarge(`It takes more than ${limits.raw} bytes.`);
      if (rawLength > length * limits.ratio) throw tooLarge(`A part grows more than ${limits.ratio} times.`);
      const payload = await source.take(length);
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

function kindOf(letter: string, before: FrameKind | null): FrameKind {
  if (before === null ? letter === "H" : letter === "P" || letter === "E") return letter as FrameKind;
  throw corrupt("Its frames are out of order.");
}

/** Exactly so many bytes at a time, out of pieces of any size. */
function takeFrom(bytes: AsyncIterable<Uint8Array>, limit: number) {
  const iterator = bytes[Symbol.asyncIterator]();
  let pieces: Uint8Array[] = [];
  let held = 0;
  let taken = 0;
  let done = false;
  async function pull(): Promise<boolean> {
    const next = await iterator.next();
    if (next.done) done = true;
    else {
      pieces.push(next.value);
      held += next.value.length;
    }
    return !done;
  }
  return {
    async take(length: number): Promise<Buffer> {
      taken += length;
      if (taken > limit) throw tooLarge(`It is sent in more than ${limit} bytes.`);
      while (held < length) if (!(await pull())) throw truncated();
      const all =
        pieces.length === 1 && pieces[0] ? Buffer.from(pieces[0].buffer, pieces[0].byteOffset, held) : Buffer.concat(pieces, held);
      pieces = held > length ? [all.subarray(length)] : [];
      held -= length;
      return all.subarray(0, length);
    },
    async ended(): Promise<boolean> {
      while (held === 0) if (!(await pull())) return true;
      return false;
    },
    async close(): Promise<void> {
      if (!done) await iterator.return?.();
    },
  };
}
