import type { SyncPhase } from "../node/full-sync-runs.ts";

/** Where a full sync is. */
export interface SyncProgress {
  readonly phase: SyncPhase;
  readonly rows: number;
  readonly bytes: number;
  readonly estimatedRows: number;
  /** Rows of this attempt a second; 0 before the first. */
  readonly rate: number;
  /** About; null while nobody can tell. */
  readonly secondsLeft: number | null;
}

/** The rate is that of the last seconds: what was resumed took no time now. */
export class Pacer {
  readonly #now: () => number;
  readonly #marks: { readonly at: number; readonly rows: number }[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  at(where: Omit<SyncProgress, "rate" | "secondsLeft">): SyncProgress {
    const at = this.#now();
    this.#marks.push({ at, rows: where.rows });
    while (this.#marks.length > 2 && at - (this.#marks[0]?.at ?? at) > WINDOW_MS) this.#marks.shift();
    const [first] = this.#marks;
    const seconds = (at - (first?.at ?? at)) / 1000;
    const rate = seconds <= 0 ? 0 : Math.round((where.rows - (first?.rows ?? 0)) / seconds);
    const left = where.estimatedRows - where.rows;
    return { ...where, rate, secondsLeft: where.phase === "copy" && rate > 0 && left > 0 ? Math.ceil(left / rate) : null };
  }
}

const WINDOW_MS = 10_000;
