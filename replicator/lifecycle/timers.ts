/** Time and chance, injected so that tests decide about both. */
export interface Timers {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** In [0, 1). */
  random(): number;
}

export const systemTimers: Timers = {
  now: Date.now,
  random: Math.random,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
    }),
};

/** Resolves when one of the signals aborts; leaves no listener behind on the others. */
export function aborted(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const signal of signals) signal.removeEventListener("abort", done);
      resolve();
    };
    if (signals.some((signal) => signal.aborted)) return resolve();
    for (const signal of signals) signal.addEventListener("abort", done, { once: true });
  });
}

/** Sleeps until one of the signals aborts, and no longer than `ms`; leaves no listener behind. */
export async function sleepUnless(timers: Timers, ms: number, signals: readonly AbortSignal[]): Promise<void> {
  const over = new AbortController();
  const end = () => over.abort();
  for (const signal of signals) signal.addEventListener("abort", end);
  if (signals.some(({ aborted }) => aborted)) end();
  await timers.sleep(ms, over.signal);
  for (const signal of signals) signal.removeEventListener("abort", end);
}
