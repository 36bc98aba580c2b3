import { createHash, type KeyObject, sign } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { TomboloError } from "../change/error.ts";
import { newEncryption, RecordCipher } from "./cipher.ts";
import { type Head, RECORD_HEAD, type RecordKind, signed, WORD } from "./format.ts";

/** Pieces of a packet are put together to records of about this size. */
const PIECE_BYTES = 256 * 1024;

export interface MediumOptions {
  readonly file: string;
  readonly head: Omit<Head, "encryption">;
  readonly key: KeyObject;
  /** Null leaves it readable. */
  readonly passphrase: string | null;
}

/**
 * Writes a medium beside its final name, so that nobody takes half of one. Nothing is there under the name before `publish`. Throws
 * `FILE_EXISTS` (usage).
 */
export class MediumWriter {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #key: KeyObject;
  readonly #hash = createHash("sha256");
  #cipher: RecordCipher | null = null;
  #packets = 0;

  private constructor(options: { readonly file: string; readonly handle: FileHandle; readonly key: KeyObject }) {
    this.#file = options.file;
    this.#handle = options.handle;
    this.#key = options.key;
  }

  static async create({ file, head, key, passphrase }: MediumOptions): Promise<MediumWriter> {
    const there = await open(file, "r").then(
      async (handle) => handle.close().then(() => true),
      () => false,
    );
    if (there) throw exists(file);
    const handle = await open(partOf(file), "w", 0o600).catch((cause: NodeJS.ErrnoException) => {
      throw new TomboloError(`${file} cannot be written: ${cause.code ?? "unknown error"}`, {
        code: "FILE_NOT_WRITABLE",
        kind: "usage",
        cause,
      });
    });
    const writer = new MediumWriter({ file, handle, key });
    const encryption = passphrase === null ? null : newEncryption();
    await writer.#bytes(WORD);
    await writer.#record("H", Buffer.from(JSON.stringify({ ...head, encryption } satisfies Head)));
    if (passphrase !== null && encryption !== null) writer.#cipher = await RecordCipher.open(passphrase, encryption);
    return writer;
  }

  json(kind: "R" | "S", value: unknown): Promise<void> {
    return this.#record(kind, Buffer.from(JSON.stringify(value)));
  }

  async packet(number: bigint, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#record("P", Buffer.from(JSON.stringify({ number: number.toString() })));
    let held: Uint8Array[] = [];
    let size = 0;
    for await (const piece of bytes) {
      held.push(piece);
      size += piece.length;
      if (size < PIECE_BYTES) continue;
      await this.#record("D", Buffer.concat(held));
      held = [];
      size = 0;
    }
    if (size > 0) await this.#record("D", Buffer.concat(held));
    this.#packets += 1;
  }

  /** Signs it and makes it durable, under its other name still; answers its digest. */
  async seal(): Promise<string> {
    await this.#record("E", Buffer.from(JSON.stringify({ packets: this.#packets })));
    const digest = this.#hash.copy().digest();
    this.#cipher = null;
    await this.#record("Z", sign(null, signed(digest), this.#key));
    await this.#handle.sync();
    await this.#handle.close();
    return digest.toString("hex");
  }

  /** From here on it is there. */
  async publish(): Promise<void> {
    await rename(partOf(this.#file), this.#file);
    // the name as well must survive a crash
    const folder = await open(dirname(this.#file), "r");
    await folder.sync().finally(() => folder.close());
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(partOf(this.#file), { force: true });
  }

  async #record(kind: RecordKind, plain: Buffer): Promise<void> {
    const payload = this.#cipher === null ? plain : this.#cipher.seal(kind, plain);
    const head = Buffer.alloc(RECORD_HEAD);
    head.write(kind, "latin1");
    head.writeUInt32BE(payload.length, 1);
    await this.#bytes(Buffer.concat([head, payload]));
  }

  async #bytes(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    await this.#handle.writeFile(bytes);
  }
}

const partOf = (file: string): string => `${file}.part`;

const exists = (file: string): TomboloError =>
  new TomboloError(`${file} is there already`, {
    code: "FILE_EXISTS",
    kind: "usage",
    hint: "Give another name: a medium is never overwritten.",
  });
