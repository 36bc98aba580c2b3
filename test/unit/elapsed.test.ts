import { expect, test } from "vitest";
import { elapsedMs } from "../../replicator/change/elapsed.ts";
import { Rest } from "../../replicator/link/rest.ts";

test("how long it has been is told by the clock, and is long where that was set back", () => {
  expect(elapsedMs(1_000, 1_000)).toBe(0);
  expect(elapsedMs(1_000, 3_500)).toBe(2_500);
  expect(elapsedMs(1_000, 999)).toBe(Number.POSITIVE_INFINITY);
});

test("a log is not left alone until a clock that was set back has come to where it was", () => {
  let now = Date.parse("2036-01-01T00:00:00Z");
  const rest = new Rest({ log: { news: () => new Promise(() => undefined) }, now: () => now });
  rest.begin(0n as never);
  expect(rest.isOn).toBe(true);
  now = Date.parse("2026-01-01T00:00:00Z");
  expect(rest.isOn).toBe(false);
});
