import type { Part } from "../change/packet.ts";

/** What a part shall take at the target, milliseconds; SQLite applies it with this process standing still, so that every other link waits for it. */
export const TARGET_MS = { postgres: 200, sqlite: 50 } as const;
/** Halved so often at most; then a part is a thousandth of the largest, or one change. */
const MOST_HALVINGS = 10;
/** A part that takes longer than this times the target is followed by smaller ones. */
const TOO_LONG = 1.5;
/** One that takes less than this times the target is followed by larger ones: twice as large, it still fits. */
const TOO_SHORT = 0.5;

/**
 * How many changes go into a part: between one and the largest, by halves, so that applying one takes about as long as it should. It halves after a part
 * that took much too long, doubles after one that was done in less than half the time, and stays in between, so that it comes to rest
 * wherever the time grows with the number of changes. A part that is small for other reasons (the end of a packet, large values) tells nothing.
 */
export class Pace {
  readonly #largest: number;
  readonly #targetMs: number;
  #halvings = 0;

  constructor(options: { readonly largest: number; readonly targetMs: number }) {
    this.#largest = options.largest;
    this.#targetMs = options.targetMs;
  }

  /** Changes in a part, at most. */
  get rows(): number {
    return Math.max(1, Math.floor(this.#largest / 2 ** this.#halvings));
  }

  /** So many changes were applied in that time. */
  readonly took = (changes: number, ms: number): void => {
    if (changes * 2 < this.rows) return;
    if (ms > TOO_LONG * this.#targetMs && this.rows > 1 && this.#halvings < MOST_HALVINGS) this.#halvings += 1;
    else if (ms < TOO_SHORT * this.#targetMs && this.#halvings > 0) this.#halvings -= 1;
  };

  /** Cuts parts to the size that fits when each piece is asked for. A piece of a part is a part: no key comes twice in it. */
  async *cut(parts: AsyncIterable<Part>): AsyncGenerator<Part> {
    for await (const part of parts) {
      for (let start = 0; start < part.length; ) {
        const end = start + this.rows;
        yield start === 0 && end >= part.length ? part : part.slice(start, end);
        start = end;
      }
    }
  }
}
