import { hasMet } from "../change/error.ts";

/** How long to wait before trying again. */
export interface BackoffOptions {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** Waits between half and the whole of each delay, so that many links do not come back at the same moment. */
  readonly jitter: boolean;
  /** At least 0, less than 1. */
  readonly random?: () => number;
}

export interface Backoff {
  /** The next delay, milliseconds; each is `factor` times the one before it, up to `maxMs`. `MET_MS` at most after two have met. */
  next(after?: unknown): number;
  /** Failures since the last success. */
  readonly attempt: number;
  /** After a success: begins anew. */
  reset(): void;
}

/** After two have met, see `hasMet`: the next time is another moment, as good as any; the longer the wait, the more there is to lock. */
const MET_MS = 500;

export function createBackoff({ initialMs, factor, maxMs, jitter, random = Math.random }: BackoffOptions): Backoff {
  const first = Math.min(initialMs, maxMs);
  let delay = first;
  let attempt = 0;
  return {
    next(after) {
      const met = hasMet(after);
      const now = met ? Math.min(delay, MET_MS) : delay;
      if (!met) delay = Math.min(delay * Math.max(factor, 1), maxMs);
      attempt++;
      return jitter ? now * (0.5 + random() / 2) : now;
    },
    get attempt() {
      return attempt;
    },
    reset() {
      delay = first;
      attempt = 0;
    },
  };
}
