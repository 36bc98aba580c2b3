import type { Sleep } from "./settle.ts";

/** However long one statement took, the next one comes after this. */
const LONGEST_REST_MS = 5_000;

/**
 * Leaves the databases to the applications for a part of the time: after each piece of work it rests for as long as makes that piece its share, so that what is slow,
 * because others are busy there, is followed by a longer rest.
 */
export class ShareOfTime {
  readonly #percent: number;
  readonly #sleep: Sleep;
  readonly #now: () => number;
  #since: number;

  /** `percent`: 100 never rests. `now`: milliseconds, of a clock that only goes forward. */
  constructor(options: { readonly percent: number; readonly sleep: Sleep; readonly now: () => number }) {
    this.#percent = options.percent;
    this.#sleep = options.sleep;
    this.#now = options.now;
    this.#since = options.now();
  }

  get isWhole(): boolean {
    return this.#percent >= 100;
  }

  /** A piece of work is done. Returns when the next one may begin, or once the signal aborts. */
  async rest(signal: AbortSignal): Promise<void> {
    if (this.isWhole) return;
    const worked = Math.max(0, this.#now() - this.#since);
    await this.#sleep(Math.min(LONGEST_REST_MS, (worked * (100 - this.#percent)) / this.#percent), signal);
    this.#since = this.#now();
  }
}
