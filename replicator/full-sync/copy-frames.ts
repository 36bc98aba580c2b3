import { crc32 } from "node:zlib";
import type { z } from "zod";
import { ByteSource } from "../change/byte-source.ts";
import type { CopyRows } from "../change/copy-text.ts";
import { TomboloError } from "../change/error.ts";
import { type Codec, compress, decompress } from "../change/packet-compression.ts";

/**
 * Rows on their way between a hub and an edge, as frames:
 *
 *     kind 1 | length 4 | length once decompressed 4 | crc32 of what is sent 4 | bytes
 *
 * Numbers are big-endian. Kinds: `j` JSON; `n`, `g`, `z` a piece of rows (COPY text), as it is, by gzip or by zstd; `e` the end of what `n`, `g` and `z` began.
 */
export const ROWS_TYPE = "application/vnd.tombolo.rows";

/** Larger pieces are cut: a reader holds one whole. */
const PIECE_BYTES = 1 << 20;
const LONGEST = 4 << 20;
const HEAD_BYTES = 13;
const KIND: Readonly<Record<Codec, string>> = { none: "n", gzip: "g", zstd: "z" };
const CODEC: { readonly [kind: string]: Codec } = { n: "none", g: "gzip", z: "zstd" };

function frame(kind: string, bytes: Buffer, rawLength: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(kind, 0, "latin1");
  head.writeUInt32BE(bytes.length, 1);
  head.writeUInt32BE(rawLength, 5);
  head.writeUInt32BE(crc32(bytes), 9);
  return Buffer.concat([head, bytes]);
}

export function jsonFrame(value: object): Buffer {
  const bytes = Buffer.from(JSON.stringify(value));
  return frame("j", bytes, bytes.length);
}

/** Rows, and their end. */
export async function* rowFrames(rows: CopyRows, codec: Codec): AsyncGenerator<Buffer> {
  for await (const piece of rows) {
    for (let at = 0; at < piece.length; at += PIECE_BYTES) {
      const raw = piece.subarray(at, at + PIECE_BYTES);
      const packed = await compress(raw, codec);
      yield frame(KIND[packed.codec], packed.bytes, raw.length);
    }
  }
  yield frame("e", Buffer.alloc(0), 0);
}

/** Reads frames in their order. */
export class FrameReader {
  readonly #source: ByteSource;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#source = new ByteSource(bytes);
  }

  /** Throws `EXCHANGE_INVALID` or `PACKET_TRUNCATED` (retry). */
  async json<T extends z.ZodType>(schema: T): Promise<z.output<T>> {
    const { kind, bytes } = await this.#frame();
    if (kind !== "j") throw invalid("rows came where there were to be none");
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString("utf8"));
    } catch {
      value = undefined;
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    // only paths are shown: what a stranger sent does not belong in a log
    throw invalid(`wrong: ${[...new Set(parsed.error.issues.map((issue) => issue.path.join(".") || "its keys"))].join(", ")}`);
  }

  /** Up to their end. */
  async *rows(): AsyncGenerator<Buffer> {
    for (;;) {
      const { kind, bytes, rawLength } = await this.#frame();
      if (kind === "e") return;
      const codec = CODEC[kind];
      if (codec === undefined) throw invalid("something else came among rows");
      yield await decompress(bytes, codec, rawLength);
    }
  }

  /** Nothing more may come. */
  async end(): Promise<void> {
    if (!(await this.#source.ended())) throw invalid("it goes on after its end");
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async #frame(): Promise<{ readonly kind: string; readonly bytes: Buffer; readonly rawLength: number }> {
    const head = await this.#take(HEAD_BYTES);
    const [kind, length, rawLength, checksum] = [
      head.toString("latin1", 0, 1),
      head.readUInt32BE(1),
      head.readUInt32BE(5),
      head.readUInt32BE(9),
    ];
    if (length > LONGEST || rawLength > LONGEST) throw invalid("a piece is too long");
    const bytes = await this.#take(length);
    if (crc32(bytes) !== checksum) throw invalid("a checksum is wrong");
    return { kind, bytes, rawLength };
  }

  /** What was cut off is asked for again. */
  async #take(length: number): Promise<Buffer> {
    try {
      return length === 0 ? Buffer.alloc(0) : Buffer.from(await this.#source.take(length));
    } catch (error) {
      if (error instanceof TomboloError && error.code === "PACKET_TRUNCATED") throw invalid("it ends too early", error);
      throw error;
    }
  }
}

const invalid = (why: string, cause?: unknown): TomboloError =>
  new TomboloError(`the rows of a full sync arrived damaged: ${why}`, {
    code: "EXCHANGE_INVALID",
    kind: "retry",
    hint: "it goes on from what has arrived; if that repeats, run versions on both sides that know each other",
    ...(cause !== undefined && { cause }),
  });
