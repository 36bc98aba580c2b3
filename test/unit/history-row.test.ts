import fc from "fast-check";
import { expect, test } from "vitest";
import type { Row, Value } from "../../replicator/change/value.ts";
import { historyJson } from "../../replicator/node/sqlite/history.ts";
import { historyRow } from "../../replicator/node/sqlite/history-row.ts";

const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom('"', "\\", "1", "-", ".", "e", "{", "}", ":", ",", "n", "\ud800") }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((i) => ({ i: i.toString() })),
  fc.double({ noNaN: true }).map((r) => ({ r: Object.is(r, -0) ? "-0" : String(r) })),
  fc.uint8Array().map((bytes) => ({ b: Buffer.from(bytes).toString("hex") })),
);

/** A real in its shortest text; both texts of a zero are one. */
const canonical = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, each]) => [
      name,
      each !== null && typeof each === "object" && "r" in each ? { r: String(Number(each.r)) } : each,
    ]),
  );

test("the history gives back every value of SQLite as it was", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), (row) => {
      expect(historyRow(historyJson(row))).toEqual(canonical(row));
    }),
    { numRuns: 2_000 },
  );
  expect(historyRow(historyJson(null))).toBeNull();
});

test("the history's JSON is JSON: others read the same numbers", () => {
  const json = historyJson({ whole: { i: "9007199254740993" }, real: { r: "1" }, huge: { r: "Infinity" }, text: "Infinity" });
  expect(json).toBe('{"whole":9007199254740993,"real":1.0,"huge":9e999,"text":"Infinity"}');
  expect(JSON.parse(json ?? "")).toMatchObject({ real: 1, huge: Number.POSITIVE_INFINITY, text: "Infinity" });
});

test("a row of many megabytes is read at once", () => {
  const text = 'x"\\1'.repeat(4_000_000);
  expect(historyRow(historyJson({ text, id: { i: "1" } }))).toEqual({ text, id: { i: "1" } });
});
