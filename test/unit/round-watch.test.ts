import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { TomboloError } from "../../replicator/change/error.ts";
import { RoundWatch } from "../../replicator/link/round-watch.ts";

const MINUTE = 60_000;
let told: TomboloError[];
let watch: RoundWatch;
const stop = new AbortController();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  told = [];
  watch = new RoundWatch({ silent: (error) => told.push(error) });
  watch.start(stop.signal);
});
afterEach(() => {
  vi.useRealTimers();
});

test("a round that neither moves nor ends is told of once", async () => {
  void watch.during(() => new Promise(() => undefined));
  await vi.advanceTimersByTimeAsync(4 * MINUTE);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(60 * MINUTE);
  expect(told.map(({ code }) => code)).toEqual(["ROUND_SILENT"]);
});

test("a long round that moves, and a link that waits for news, are not", async () => {
  let end = (): void => undefined;
  const round = watch.during(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  for (let minute = 0; minute < 60; minute += 4) {
    await vi.advanceTimersByTimeAsync(4 * MINUTE);
    watch.moved();
  }
  end();
  await round;
  await vi.advanceTimersByTimeAsync(60 * MINUTE);
  expect(told).toEqual([]);
});
