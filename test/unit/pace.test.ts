import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { Pace } from "../../replicator/link/pace.ts";

const largest = fc.integer({ min: 1, max: 1_000_000 });

test("a part is never empty and never larger than the largest, whatever the times", () => {
  fc.assert(
    fc.property(largest, fc.array(fc.tuple(fc.double({ min: 0, max: 1 }), fc.double({ min: 0, max: 1e6 }))), (most, parts) => {
      const pace = new Pace({ largest: most, targetMs: 200 });
      for (const [share, ms] of parts) {
        pace.took(Math.ceil(pace.rows * share), ms);
        expect(pace.rows).toBeGreaterThanOrEqual(1);
        expect(pace.rows).toBeLessThanOrEqual(most);
      }
    }),
  );
});

test("where the time grows with the changes, it comes to rest within twelve parts, as near to the target as halves allow", () => {
  const fixedMs = fc.double({ min: 0, max: 60, noNaN: true });
  const eachMs = fc.double({ min: 0.0001, max: 20, noNaN: true });
  fc.assert(
    fc.property(largest, fixedMs, eachMs, fc.array(fc.nat(2_000), { maxLength: 20 }), (most, fixed, each, before) => {
      const pace = new Pace({ largest: most, targetMs: 200 });
      // whatever it has come from
      for (const ms of before) pace.took(pace.rows, ms);
      const time = (rows: number): number => fixed + each * rows;
      for (let part = 0; part < 12; part++) pace.took(pace.rows, time(pace.rows));
      const { rows } = pace;
      pace.took(rows, time(rows));
      expect(pace.rows).toBe(rows);
      const smallest = Math.max(1, Math.floor(most / 2 ** 10));
      if (rows > smallest) expect(time(rows)).toBeLessThanOrEqual(300);
      if (rows < most) expect(time(rows)).toBeGreaterThanOrEqual(100);
    }),
  );
});

test("a part that is small for other reasons changes nothing", () => {
  const pace = new Pace({ largest: 5_000, targetMs: 200 });
  pace.took(2_000, 60_000);
  expect(pace.rows).toBe(5_000);
  pace.took(2_500, 60_000);
  expect(pace.rows).toBe(2_500);
  pace.took(10, 1);
  expect(pace.rows).toBe(2_500);
});

test("pieces are the parts again, in order, and follow the pace from piece to piece", async () => {
  const change = (key: number): Change => ({ table: 0, op: "I", key: String(key), old: null, new: "{}", changedAt: 0 });
  const parts = [Array.from({ length: 20 }, (_, at) => change(at)), [change(20)]];
  const pace = new Pace({ largest: 8, targetMs: 200 });
  const pieces: (readonly Change[])[] = [];
  async function* all() {
    yield* parts;
  }
  for await (const piece of pace.cut(all())) {
    pieces.push(piece);
    pace.took(piece.length, 1_000);
  }
  expect(pieces.flat()).toEqual(parts.flat());
  expect(pieces.map(({ length }) => length)).toEqual([8, 4, 2, 1, 1, 1, 1, 1, 1, 1]);
});
