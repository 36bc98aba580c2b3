import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lag, LagBook } from "../../replicator/observability/lag.ts";

const T = 1_700_000_000_000;

test("of a link that is moved here, and of none else", () => {
  const book = new LagBook();
  book.of("hub", "store").applied(T, 0.02);
  expect(book.secondsOf("hub", "store", T + 30)).toBeCloseTo(0.05);
  expect(book.secondsOf("store", "hub", T + 30)).toBeUndefined();
});

describe("lag of one direction", () => {
  test("is absent before anything is known, also while a first fill runs or fails", () => {
    const lag = new Lag();
    expect(lag.seconds(T)).toBeUndefined();
    lag.applied(T, null);
    lag.stalled();
    expect(lag.seconds(T + 60_000)).toBeUndefined();
  });

  test("is 0 while the link goes on finding nothing to do", () => {
    const lag = new Lag();
    for (let at = T; at < T + 60_000; at += 1_000) {
      lag.caughtUp(at);
      expect(lag.seconds(at + 999)).toBe(0);
    }
  });

  test("stays 0 when an empty packet only moves the position", () => {
    const lag = new Lag();
    lag.caughtUp(T);
    lag.applied(T + 500, null);
    expect(lag.seconds(T + 900)).toBe(0);
  });

  test("grows from the last moment that was caught up, from a failure until the next good round", () => {
    const lag = new Lag();
    lag.caughtUp(T);
    lag.stalled();
    expect(lag.seconds(T + 2_000)).toBe(2);
    expect(lag.seconds(T + 90_000)).toBe(90);
    lag.caughtUp(T + 100_000);
    expect(lag.seconds(T + 100_000)).toBe(0);
  });

  test("is the lag of the last packet while packets are applied", () => {
    const lag = new Lag();
    lag.caughtUp(T);
    lag.applied(T + 5_000, 0.25);
    expect(lag.seconds(T + 5_000)).toBe(0.25);
    lag.applied(T + 6_000, 4);
    expect(lag.seconds(T + 6_000)).toBe(4);
  });

  test("grows when a link that looked idle has gone silent", () => {
    const lag = new Lag();
    lag.caughtUp(T);
    expect(lag.seconds(T + 10_000)).toBe(0);
    expect(lag.seconds(T + 20_000)).toBe(20);
  });

  test("counts changes that wait in the source's log while the link claims to be idle, once they are older than what is on its way", () => {
    const lag = new Lag();
    lag.caughtUp(T);
    lag.pending(T - 1_000, T, 5_000);
    expect(lag.seconds(T)).toBe(0);
    lag.pending(T - 8_000, T, 5_000);
    expect(lag.seconds(T)).toBe(8);
  });

  test("is never negative, whatever clocks and events say", () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant("caughtUp" as const), at: fc.integer({ min: -1e6, max: 1e6 }) }),
      fc.record({
        kind: fc.constant("applied" as const),
        at: fc.integer({ min: -1e6, max: 1e6 }),
        lag: fc.option(fc.double({ min: -1e4, max: 1e4, noNaN: true })),
      }),
      fc.record({ kind: fc.constant("pending" as const), at: fc.integer({ min: -1e6, max: 1e6 }) }),
      fc.record({ kind: fc.constant("stalled" as const) }),
    );
    fc.assert(
      fc.property(fc.array(event), fc.integer({ min: -1e6, max: 1e6 }), (events, now) => {
        const lag = new Lag();
        for (const each of events) {
          if (each.kind === "caughtUp") lag.caughtUp(T + each.at);
          else if (each.kind === "applied") lag.applied(T + each.at, each.lag);
          else if (each.kind === "pending") lag.pending(T + each.at, T, 5_000);
          else lag.stalled();
        }
        const seconds = lag.seconds(T + now);
        expect(seconds === undefined || seconds >= 0).toBe(true);
      }),
    );
  });
});

test("a book keeps the directions apart and forgets those that the topology no longer has", () => {
  const book = new LagBook();
  book.of("hub", "store-1").caughtUp(T);
  book.of("store-1", "hub").applied(T, 1);
  book.of("hub", "store-2");
  expect(book.values(T)).toEqual([
    { source: "hub", target: "store-1", seconds: 0 },
    { source: "store-1", target: "hub", seconds: 1 },
  ]);
  book.keep([{ source: "hub", target: "store-1" }]);
  expect(book.values(T)).toEqual([{ source: "hub", target: "store-1", seconds: 0 }]);
});
