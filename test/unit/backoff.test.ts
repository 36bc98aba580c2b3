import { getEventListeners } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { createBackoff } from "../../replicator/link/backoff.ts";
import { sleep, type Timers } from "../../replicator/link/sleep.ts";

test("delays grow by the factor up to the maximum, and begin anew after a success", () => {
  const backoff = createBackoff({ initialMs: 1000, factor: 2, maxMs: 32_000, jitter: false });
  const first = Array.from({ length: 8 }, () => backoff.next());
  expect(first).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 32_000, 32_000]);
  expect(backoff.attempt).toBe(8);
  backoff.reset();
  expect(backoff.attempt).toBe(0);
  expect(backoff.next()).toBe(1000);
  const shrinking = createBackoff({ initialMs: 1000, factor: 0.5, maxMs: 2000, jitter: false });
  expect([shrinking.next(), shrinking.next()]).toEqual([1000, 1000]);
});

test("what waited for another's locks comes again soon, however often, and what fails otherwise meanwhile waits no longer for it", () => {
  const met = ["APPLY_GAVE_WAY", "POSTGRES_40P01"].map((code) => new TomboloError("met", { code, kind: "retry" }));
  const other = new TomboloError("away", { code: "POSTGRES_57P01", kind: "retry" });
  const backoff = createBackoff({ initialMs: 1000, factor: 2, maxMs: 32_000, jitter: false });
  expect([...met, ...met, other, ...met, other].map((error) => backoff.next(error))).toEqual([500, 500, 500, 500, 1000, 500, 500, 2000]);
  expect(backoff.attempt).toBe(8);
  const eager = createBackoff({ initialMs: 50, factor: 2, maxMs: 500, jitter: false });
  expect(eager.next(met[0])).toBe(50);
});

test("with jitter a delay is between half and the whole, spread by the random source, never more than the maximum", () => {
  fc.assert(
    fc.property(
      fc.record({
        initialMs: fc.integer({ min: 1, max: 1e6 }),
        factor: fc.double({ min: 0.1, max: 1e3, noNaN: true }),
        maxMs: fc.integer({ min: 1, max: 1e9 }),
      }),
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 40 }),
      (options, randoms) => {
        const pool = [...randoms];
        const jittered = createBackoff({ ...options, jitter: true, random: () => pool.shift() ?? 0 });
        const plain = createBackoff({ ...options, jitter: false });
        for (const random of randoms) {
          const whole = plain.next();
          expect(whole).toBeLessThanOrEqual(options.maxMs);
          expect(jittered.next()).toBeCloseTo(whole * (0.5 + random / 2), 6);
        }
      },
    ),
  );
});

function fakeTimers(): Timers & { pending: Map<number, { ms: number; callback: () => void }> } {
  const pending = new Map<number, { ms: number; callback: () => void }>();
  let last = 0;
  return {
    pending,
    set(callback, ms) {
      pending.set(++last, { ms, callback });
      return last;
    },
    clear: (handle) => pending.delete(handle as number),
  };
}

test("a sleep ends when its time is over or its signal aborts, and leaves nothing behind", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const timers = fakeTimers();

  const slept = sleep(500, signal, timers);
  expect([...timers.pending.values()].map(({ ms }) => ms)).toEqual([500]);
  for (const { callback } of timers.pending.values()) callback();
  expect(await slept).toBe(true);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);

  timers.pending.clear();
  const woken = sleep(2 ** 40, signal, timers);
  expect([...timers.pending.values()].map(({ ms }) => ms)).toEqual([2 ** 31 - 1]);
  controller.abort();
  expect(await woken).toBe(false);
  expect(timers.pending.size).toBe(0);

  expect(await sleep(500, signal, timers)).toBe(false);
  expect(timers.pending.size).toBe(0);
});
