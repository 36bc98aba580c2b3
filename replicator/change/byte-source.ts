import { truncated } from "./packet-errors.ts";

/** Exactly so many bytes at a time, out of pieces of any size. Holds what it is asked for, and the piece that its end was in. */
export class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #pieces: Uint8Array[] = [];
  #held = 0;
  #done = false;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#iterator = bytes[Symbol.asyncIterator]();
  }

  /** Throws `PACKET_TRUNCATED` (operator) when there are fewer. */
  async take(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    const [first] = this.#pieces;
    this.#pieces = first !== undefined && first.length > length ? [first.subarray(length)] : [];
    this.#held -= length;
    return bytes;
  }

  /** The same, and leaves them where they are. */
  async peek(length: number): Promise<Buffer> {
    while (this.#held < length) if (!(await this.#pull())) throw truncated();
    const [first] = this.#pieces;
    const all =
      this.#pieces.length === 1 && first !== undefined
        ? Buffer.from(first.buffer, first.byteOffset, this.#held)
        : Buffer.concat(this.#pieces, this.#held);
    this.#pieces = [all];
    return all.subarray(0, length);
  }

  /** Nothing more comes. */
  async ended(): Promise<boolean> {
    while (this.#held === 0) if (!(await this.#pull())) return true;
    return false;
  }

  /** Lets go of what it reads from, read to the end or not. */
  async close(): Promise<void> {
    if (!this.#done) await this.#iterator.return?.();
    this.#done = true;
  }

  async #pull(): Promise<boolean> {
    const next = await this.#iterator.next();
    if (next.done) this.#done = true;
    else {
      this.#pieces.push(next.value);
      this.#held += next.value.length;
    }
    return !this.#done;
  }
}
