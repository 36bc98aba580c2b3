/** After so much it shows how long it is going to take. */
const LOOK_MS = 5_000;

/** Tells when what has begun is going to take too long. */
export class Pace {
  readonly #size: number;
  readonly #mostMs: number;
  readonly #now: () => number;
  #started: number | undefined;
  #bytes = 0;
  #isTooSlow = false;

  /** `size`: bytes of the whole, about. */
  constructor(options: { readonly size: number; readonly mostMs: number; readonly now?: () => number }) {
    this.#size = options.size;
    this.#mostMs = options.mostMs;
    this.#now = options.now ?? (() => performance.now());
  }

  get isTooSlow(): boolean {
    return this.#isTooSlow;
  }

  /** Answers how many bytes there were. Throws when it is too slow. */
  add(bytes: number): number {
    const now = this.#now();
    this.#started ??= now;
    this.#bytes += bytes;
    const ms = now - this.#started;
    this.#isTooSlow = ms > LOOK_MS && (ms / this.#bytes) * Math.max(this.#size, this.#bytes) > this.#mostMs;
    if (this.#isTooSlow) throw new Error("too slow");
    return this.#bytes;
  }
}
