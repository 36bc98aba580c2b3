import fc from "fast-check";
import { expect, test } from "vitest";
import { type ClockReading, measuredOffset } from "../../replicator/change/clock.ts";

const NOW = 1_790_000_000_000;

/** A round trip to a clock that is ahead, of which the way there and the way back take so long; ours tells whole milliseconds. */
function reading({ aheadMs, thereMs, backMs, at = 0 }: { aheadMs: number; thereMs: number; backMs: number; at?: number }): ClockReading {
  return { askedAtMs: NOW + Math.floor(at), answeredMs: NOW + at + thereMs + aheadMs, tookMs: thereMs + backMs };
}

test("one and the same clock is never found ahead of itself, however slow a round trip was", () => {
  const way = fc.double({ min: 0, max: 500, noNaN: true });
  const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  fc.assert(
    fc.property(fc.array(fc.record({ thereMs: way, backMs: way, at }), { minLength: 1, maxLength: 4 }), (trips) => {
      expect(measuredOffset(trips.map((trip) => reading({ aheadMs: 0, ...trip })))).toBe(0);
    }),
  );
});

test("a clock that is ahead or behind is found so, to half of the fastest round trip", () => {
  const way = fc.double({ min: 0, max: 50, noNaN: true });
  const aheadMs = fc.integer({ min: 60, max: 400_000_000 }).chain((ms) => fc.constantFrom(ms, -ms));
  fc.assert(
    fc.property(aheadMs, fc.array(fc.record({ thereMs: way, backMs: way }), { minLength: 1, maxLength: 4 }), (ahead, trips) => {
      const fastest = Math.min(...trips.map(({ thereMs, backMs }) => thereMs + backMs));
      const found = measuredOffset(trips.map((trip) => reading({ aheadMs: ahead, ...trip })));
      expect(Math.abs(found - ahead)).toBeLessThanOrEqual(fastest / 2 + 1);
      expect(Math.sign(found)).toBe(Math.sign(ahead));
    }),
  );
});
