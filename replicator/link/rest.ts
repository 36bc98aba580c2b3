import { elapsedMs } from "../change/elapsed.ts";
import type { Position } from "../change/names.ts";
import type { ChangeLog } from "../node/change-log.ts";
import { OVER } from "./sleep.ts";

/** After this, a log is looked into whether or not it has news: there is more to a pass than changes (acknowledging, what is parked). */
const LONGEST_REST_MS = 1_000;

/**
 * Whether a log in which nothing was found may be left alone for now. A link whose parent is busy and whose child is not would otherwise seal
 * a tick at the child in every round, which is a fifth of the round.
 */
export class Rest {
  readonly #log: Pick<ChangeLog, "news">;
  readonly #now: () => number;
  #begunAt: number | undefined;
  #watching: AbortController | undefined;

  constructor(options: { readonly log: Pick<ChangeLog, "news">; readonly now: () => number }) {
    this.#log = options.log;
    this.#now = options.now;
  }

  /** Nothing was found up to there. */
  begin(at: Position): void {
    this.end();
    const watching = new AbortController();
    this.#watching = watching;
    this.#begunAt = this.#now();
    const over = (): void => {
      if (this.#watching === watching) this.end();
    };
    // what fails here the next pass meets itself
    this.#log.news(at, watching.signal).then(over, over);
  }

  get isOn(): boolean {
    return this.#begunAt !== undefined && elapsedMs(this.#begunAt, this.#now()) < LONGEST_REST_MS;
  }

  end(): void {
    this.#begunAt = undefined;
    this.#watching?.abort(OVER);
    this.#watching = undefined;
  }
}
