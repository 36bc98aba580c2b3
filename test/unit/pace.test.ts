import { expect, test } from "vitest";
import { Pace } from "../../replicator/full-sync/pace.ts";

const MB = 1_000_000;

function pace(size: number): { at(ms: number, bytes: number): number; readonly isTooSlow: boolean } {
  let time = 0;
  const made = new Pace({ size, mostMs: 30_000, now: () => time });
  return {
    at(ms, bytes) {
      time = ms;
      return made.add(bytes);
    },
    get isTooSlow() {
      return made.isTooSlow;
    },
  };
}

test("what ends in time goes on, however slowly it begins", () => {
  const fine = pace(100 * MB);
  // what it waited for before is none of its time
  expect(fine.at(60_000, MB)).toBe(MB);
  expect(fine.at(64_900, MB)).toBe(2 * MB);
  expect(fine.at(70_000, 50 * MB)).toBe(52 * MB);
  expect(fine.at(85_000, 60 * MB)).toBe(112 * MB);
  expect(fine.isTooSlow).toBe(false);
});

test("what would take too long is given up as soon as that shows", () => {
  const slow = pace(100 * MB);
  slow.at(0, MB);
  slow.at(4_000, MB);
  expect(() => slow.at(5_100, 10 * MB)).toThrow("too slow");
  expect(slow.isTooSlow).toBe(true);
});

test("what is larger than was thought is given up at the end of its time", () => {
  const large = pace(MB);
  large.at(0, MB);
  expect(large.at(29_000, 50 * MB)).toBe(51 * MB);
  expect(() => large.at(31_000, MB)).toThrow("too slow");
});
