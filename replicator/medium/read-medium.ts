import { createHash, type KeyObject, verify } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { RecordCipher } from "./cipher.ts";
import {
  endSchema,
  type Head,
  headSchema,
  LARGEST_RECORD,
  packetSchema,
  RECORD_HEAD,
  type RecordKind,
  SIGNATURE_BYTES,
  signed,
  WORD,
} from "./format.ts";
import { badPassphrase, badSignature, damaged, needsPassphrase } from "./medium-errors.ts";

/** A record, or a packet whose bytes must be read, or passed over, before the next is asked for. */
export type MediumRecord =
  | { readonly kind: "R" | "S"; readonly json: unknown }
  | { readonly kind: "P"; readonly number: bigint; readonly bytes: AsyncIterable<Uint8Array> };

interface RawRecord {
  readonly kind: RecordKind;
  readonly payload: Buffer;
}

const CHUNK = 1 << 20;

/** A medium whose head has been read. Nothing is believed of it before `verify`. */
export class MediumReader {
  readonly file: string;
  readonly head: Head;
  readonly #handle: FileHandle;
  readonly #size: number;
  readonly #bodyAt: number;

  private constructor(options: {
    readonly file: string;
    readonly handle: FileHandle;
    readonly size: number;
    readonly head: Head;
    readonly bodyAt: number;
  }) {
    this.file = options.file;
    this.head = options.head;
    this.#handle = options.handle;
    this.#size = options.size;
    this.#bodyAt = options.bodyAt;
  }

  /** Throws `MEDIUM_DAMAGED` (operator). */
  static async open(file: string): Promise<MediumReader> {
    const handle = await open(file, "r").catch((cause: NodeJS.ErrnoException) => {
      throw damaged(file, cause.code ?? "it cannot be read");
    });
    try {
      const { size } = await handle.stat();
      const word = await readAt(handle, 0, WORD.length);
      if (!word.equals(WORD)) throw damaged(file, "it does not begin like one of this version");
      const record = await recordAt({ handle, file, size }, WORD.length);
      const head = record.kind === "H" ? headSchema.safeParse(parsed(record.payload)) : null;
      if (head === null || !head.success) throw damaged(file, "its head is not valid");
      return new MediumReader({ file, handle, size, head: head.data, bodyAt: WORD.length + RECORD_HEAD + record.payload.length });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Reads all of it, and answers its digest. Throws `MEDIUM_DAMAGED` and `MEDIUM_SIGNATURE` (operator). */
  async verify(key: KeyObject): Promise<string> {
    const end = this.#size - RECORD_HEAD - SIGNATURE_BYTES;
    if (end < this.#bodyAt) throw damaged(this.file, "it is cut off");
    const hash = createHash("sha256");
    for (let at = 0; at < end; at += CHUNK) hash.update(await readAt(this.#handle, at, Math.min(CHUNK, end - at)));
    const digest = hash.digest();
    const last = await recordAt({ handle: this.#handle, file: this.file, size: this.#size }, end);
    if (last.kind !== "Z" || last.payload.length !== SIGNATURE_BYTES) throw damaged(this.file, "it is cut off");
    if (!verify(null, signed(digest), key, last.payload)) throw badSignature(this.file, this.head.source);
    return digest.toString("hex");
  }

  /** What is in it, after `verify`. Throws `MEDIUM_PASSPHRASE` (usage). */
  async *records(passphrase: string | null): AsyncGenerator<MediumRecord> {
    const { encryption } = this.head;
    if (encryption !== null && passphrase === null) throw needsPassphrase(this.file);
    const cipher = encryption === null ? null : await RecordCipher.open(passphrase ?? "", encryption);
    const raw = new Raw(this.#rawRecords(cipher));
    let packets = 0;
    for (let record = await raw.next(); ; record = await raw.next()) {
      if (record === null) throw damaged(this.file, "it has no end");
      if (record.kind === "R" || record.kind === "S") yield { kind: record.kind, json: parsed(record.payload) };
      else if (record.kind === "P") {
        packets += 1;
        const { number } = packetSchema.parse(parsed(record.payload));
        yield { kind: "P", number: BigInt(number), bytes: raw.pieces() };
        // what nobody wanted of it
        for await (const piece of raw.pieces()) void piece;
      } else if (record.kind === "E") {
        if (endSchema.parse(parsed(record.payload)).packets !== packets) throw damaged(this.file, "packets are missing");
        return;
      } else throw damaged(this.file, "a record is out of its place");
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async *#rawRecords(cipher: RecordCipher | null): AsyncGenerator<RawRecord> {
    for (let at = this.#bodyAt; at < this.#size - RECORD_HEAD - SIGNATURE_BYTES; ) {
      const { kind, payload } = await recordAt({ handle: this.#handle, file: this.file, size: this.#size }, at);
      at += RECORD_HEAD + payload.length;
      const plain = cipher === null ? payload : cipher.open(kind, payload);
      if (plain === null) throw badPassphrase(this.file);
      yield { kind, payload: plain };
    }
  }
}

/** Records one after the other, with one held back where the pieces of a packet have ended. */
class Raw {
  readonly #records: AsyncGenerator<RawRecord>;
  #held: RawRecord | null = null;

  constructor(records: AsyncGenerator<RawRecord>) {
    this.#records = records;
  }

  async next(): Promise<RawRecord | null> {
    const held = this.#held;
    this.#held = null;
    if (held !== null) return held;
    const { value, done } = await this.#records.next();
    return done === true ? null : value;
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    for (let record = await this.next(); record !== null; record = await this.next()) {
      if (record.kind !== "D") {
        this.#held = record;
        return;
      }
      yield record.payload;
    }
  }
}

async function recordAt({ handle, file, size }: { handle: FileHandle; file: string; size: number }, at: number): Promise<RawRecord> {
  if (at + RECORD_HEAD > size) throw damaged(file, "it is cut off");
  const head = await readAt(handle, at, RECORD_HEAD);
  const length = head.readUInt32BE(1);
  if (length > LARGEST_RECORD || at + RECORD_HEAD + length > size) throw damaged(file, "a length is wrong");
  return { kind: String.fromCharCode(head[0] ?? 0) as RecordKind, payload: await readAt(handle, at + RECORD_HEAD, length) };
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

function parsed(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString());
  } catch {
    return null;
  }
}
