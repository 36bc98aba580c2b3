import { expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { Pace } from "../../replicator/link/pace.ts";

const pace = (): Pace => new Pace({ largest: 5000, targetMs: 50 });

/** So many full parts in a row that take `ms` for a change. */
function parts(one: Pace, count: number, ms: number): number[] {
  return Array.from({ length: count }, () => {
    const { rows } = one;
    one.took(rows, rows * ms);
    return rows;
  });
}

test("parts that take too long are followed by smaller ones, down to what takes as long as it should", () => {
  // 0.1 ms a change: 50 ms are 500 changes, and anything up to 750 is near enough
  expect(parts(pace(), 6, 0.1)).toEqual([5000, 2500, 1250, 625, 625, 625]);
  // however slow the target is, one change is a part
  expect(parts(pace(), 15, 10_000).at(-1)).toBeLessThanOrEqual(5);
});

test("when the target is faster again parts grow, as far as the largest", () => {
  const one = pace();
  parts(one, 6, 0.1);
  expect(parts(one, 5, 0.001)).toEqual([625, 1250, 2500, 5000, 5000]);
});

test("a part that is small for other reasons tells nothing", () => {
  const one = pace();
  one.took(2000, 10_000);
  expect(one.rows).toBe(5000);
  parts(one, 4, 0.1);
  one.took(10, 0.01);
  expect(one.rows).toBe(625);
});

test("what is being applied is cut by what the last part took, and nothing is left out", async () => {
  const one = pace();
  const change = (id: number): Change => ({ table: 0, op: "D", key: `{"id":"${id}"}`, old: null, new: null, changedAt: 0 });
  async function* whole(): AsyncGenerator<Change[]> {
    yield Array.from({ length: 12_000 }, (_, id) => change(id));
  }
  const sizes: number[] = [];
  const keys: string[] = [];
  for await (const part of one.cut(whole())) {
    sizes.push(part.length);
    keys.push(...part.map(({ key }) => key));
    one.took(part.length, part.length * 0.1);
  }
  expect(sizes.slice(0, 5)).toEqual([5000, 2500, 1250, 625, 625]);
  expect(keys).toEqual(Array.from({ length: 12_000 }, (_, id) => change(id).key));
});
