import type { Timers } from "../../replicator/lifecycle/timers.ts";

/** Time stands still until it is told to go on; whoever sleeps then wakes and looks. */
export function handTimers(start: number): Timers & { advance(ms: number): void; sleepers(): number } {
  let now = start;
  let wake: (() => void)[] = [];
  return {
    now: () => now,
    random: () => 0,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        wake.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      }),
    sleepers: () => wake.length,
    advance(ms) {
      now += ms;
      const waking = wake;
      wake = [];
      for (const each of waking) each();
    },
  };
}
