import { type Lsn, later, NO_LSN } from "./lsn.ts";

interface Waiter {
  readonly at: Lsn;
  readonly settle: (passed: boolean) => void;
}

/** How far the log is complete: it holds every commit whose record ends there or before. And who waits for that to move on. */
export class Passage {
  readonly #waiters = new Set<Waiter>();
  #at: Lsn = NO_LSN;

  /** A stream begins there. What an earlier one had come to is forgotten: it may have been another server's. */
  begin(at: Lsn): void {
    this.#at = at;
  }

  reached(at: Lsn): void {
    this.#at = later(this.#at, at);
    for (const waiter of [...this.#waiters]) if (waiter.at <= this.#at) waiter.settle(true);
  }

  /** Whether somebody waits for what ends there or before. */
  isAwaited(at: Lsn): boolean {
    for (const waiter of this.#waiters) if (waiter.at <= at) return true;
    return false;
  }

  /** Whether the log is complete up to there within so many milliseconds. */
  wait(at: Lsn, ms: number): Promise<boolean> {
    if (at <= this.#at) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        at,
        settle: (passed) => {
          this.#waiters.delete(waiter);
          clearTimeout(timer);
          resolve(passed);
        },
      };
      const timer = setTimeout(() => waiter.settle(false), ms);
      this.#waiters.add(waiter);
    });
  }
}
