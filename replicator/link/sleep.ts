/** The part of the runtime's timers that sleeping takes; a test brings its own. */
export interface Timers {
  set(callback: () => void, ms: number): unknown;
  clear(handle: unknown): void;
}

export const realTimers: Timers = {
  set: (callback, ms) => setTimeout(callback, ms),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** The reason of a signal that ends a wait which nobody needs any more. Without one an error with its stack is made, which costs more than the wait. */
export const OVER = "over";

/** Longer timers fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Resolves after `ms` (at most 24 days), or as soon as the signal aborts; true when it slept to the end. Leaves no timer and no listener behind. */
export function sleep(ms: number, signal: AbortSignal, timers: Timers = realTimers): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const abort = (): void => {
      timers.clear(handle);
      resolve(false);
    };
    const handle = timers.set(
      () => {
        signal.removeEventListener("abort", abort);
        resolve(true);
      },
      Math.min(Math.max(ms, 0), LONGEST_MS),
    );
    signal.addEventListener("abort", abort, { once: true });
  });
}
