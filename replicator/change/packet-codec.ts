import { z } from "zod";
import type { Packet, PacketHeader, Part } from "./packet.ts";
import { type Codec, compress, decompress, type PacketSizes } from "./packet-compression.ts";
import { corrupt, wrongCount, wrongDigest } from "./packet-errors.ts";
import { type Frame, type FrameKind, frameBytes, PREAMBLE, readFrames } from "./packet-frame.ts";
import { parseHeader } from "./packet-header.ts";
import { PACKET_LIMITS, type PacketLimits } from "./packet-limits.ts";
import { parsePart } from "./packet-rows.ts";
import { known, once, openSeal } from "./packet-seal.ts";
import { headerText, partBytes } from "./packet-text.ts";

export interface EncodeOptions {
  /** Grows while it goes. */
  readonly sizes?: PacketSizes;
  /** Called when all but the end has been taken: the digest is known, and nobody can apply the packet yet. */
  readonly beforeEnd?: () => Promise<void>;
}

/** The packet as bytes, one frame at a time. Consumes the packet's parts. Throws what the parts throw, and `PACKET_TEXT` (operator). */
export async function* encodePacket(packet: Packet, codec: Codec, options: EncodeOptions = {}): AsyncGenerator<Buffer, void, void> {
  const { sizes = { raw: 0, compressed: 0 }, beforeEnd } = options;
  const frame = async (kind: FrameKind, raw: Buffer): Promise<Buffer> => {
    const packed = await compress(raw, codec);
    const bytes = frameBytes({ kind, codec: packed.codec, rawLength: raw.length, payload: packed.bytes });
    sizes.raw += raw.length;
    sizes.compressed += bytes.length;
    return bytes;
  };
  yield PREAMBLE;
  yield frame("H", Buffer.from(headerText(packet.header)));
  let parts = 0;
  let changes = 0;
  for await (const part of packet.parts) {
    parts++;
    changes += part.length;
    yield frame("P", partBytes(part));
  }
  await beforeEnd?.();
  yield frame("E", Buffer.from(JSON.stringify({ parts, changes, digest: packet.digest() } satisfies End)));
}

/**
 * Reads the header, and answers a packet whose parts are read, checked and decompressed as they are consumed. What is wrong with the bytes is
 * thrown from here or from the parts: `PACKET_TRUNCATED`, `PACKET_CORRUPT`, `PACKET_PROTOCOL`, `PACKET_CODEC`, `PACKET_HEADER`,
 * `PACKET_TOO_LARGE`, `PACKET_COUNT`, `PACKET_DIGEST` (all operator). So parts are good only once the last one has been read: apply them in one transaction.
 * `sizes` grow while parts are read.
 */
export async function decodePacket(
  bytes: AsyncIterable<Uint8Array>,
  limits: PacketLimits = PACKET_LIMITS,
  sizes: PacketSizes = { raw: 0, compressed: 0 },
): Promise<Packet> {
  const frames = readFrames(bytes, limits);
  const header = await readHeader(frames, limits).catch(async (error: unknown) => {
    await frames.return(undefined);
    throw error;
  });
  let digest: string | undefined;
  const parts = once(() =>
    readParts(counted(frames, sizes), header, limits, (value) => {
      digest = value;
    }),
  );
  return { header, parts, digest: () => known(digest) };
}

async function readHeader(frames: AsyncGenerator<Frame, void, void>, limits: PacketLimits): Promise<PacketHeader> {
  const first = await frames.next();
  if (first.done) throw corrupt("It is empty.");
  const text = await textOf(first.value);
  const header = parseHeader(text, limits.depth);
  // the digest is over the canonical text: another spelling of the same header would have the same digest
  if (headerText(header) !== text) throw corrupt("Its header is not in the canonical form.");
  return header;
}

type End = z.infer<typeof end>;
const end = z.strictObject({ parts: z.int().min(0), changes: z.int().min(0), digest: z.string().regex(/^[0-9a-f]{64}$/) });

async function* readParts(
  frames: AsyncGenerator<Frame>,
  header: PacketHeader,
  limits: PacketLimits,
  finish: (digest: string) => void,
): AsyncGenerator<Part> {
  const seal = openSeal(header);
  let parts = 0;
  let changes = 0;
  let last: End | undefined;
  for await (const frame of frames) {
    const text = await textOf(frame);
    if (frame.kind === "E") {
      last = parseEnd(text);
      continue;
    }
    const part = parsePart(text, header.tables.length, limits.rows - changes, limits);
    seal.add(Buffer.from(text));
    parts++;
    changes += part.length;
    yield part;
  }
  if (last?.parts !== parts || last.changes !== changes) throw wrongCount();
  const digest = seal.close();
  if (last.digest !== digest) throw wrongDigest();
  finish(digest);
}

async function* counted(frames: AsyncIterable<Frame>, sizes: PacketSizes): AsyncGenerator<Frame> {
  for await (const frame of frames) {
    sizes.raw += frame.rawLength;
    sizes.compressed += frame.payload.length;
    yield frame;
  }
}

async function textOf({ codec, payload, rawLength }: Frame): Promise<string> {
  const raw = await decompress(payload, codec, rawLength);
  if (raw.length !== rawLength) throw corrupt("A length is wrong.");
  try {
    return utf8.decode(raw);
  } catch {
    throw corrupt("It holds text that is not UTF-8.");
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseEnd(text: string): End {
  try {
    return end.parse(JSON.parse(text));
  } catch {
    throw corrupt("Its end is not valid.");
  }
}
