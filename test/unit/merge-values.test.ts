import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Value } from "../../replicator/change/value.ts";
import type { MergeKind } from "../../replicator/change/verdict.ts";
import { mergeColumn } from "../../replicator/conflict/merge/merge-column.ts";

const overlap = { overlap: expect.any(String) };
const merge = (kind: MergeKind, base: Value | undefined, parent: Value, child: Value) => mergeColumn(kind, { base, parent, child });

describe("counter", () => {
  const CASES: readonly [promise: string, base: Value, parent: Value, child: Value, sum: Value][] = [
    ["adds both differences", "10", "12", "7", "9"],
    ["keeps the most digits after the point", "1.50", "1.75", "2.5", "2.75"],
    ["keeps zeros", "1.00", "2", "3", "4.00"],
    ["is exact where a double is not", "0.1", "0.3", "0.2", "0.4"],
    ["has no limit", "99999999999999999999", "100000000000000000000.5", "199999999999999999999", "200000000000000000000.5"],
    ["reads what Postgres prints of floats", "1e+20", "1.5e+20", "100000000000000000001", "150000000000000000001"],
    ["ends at a plain zero", "5", "-1", "6", "0"],
    ["goes below zero", "0.5", "0.25", "-0.75", "-1.00"],
    ["INTEGER stays INTEGER", { i: "9007199254740993" }, { i: "9007199254740994" }, { i: "9007199254740995" }, { i: "9007199254740996" }],
    ["REAL stays REAL", { r: "0.1" }, { r: "0.3" }, { r: "0.2" }, { r: "0.4" }],
    ["a whole REAL", { r: "0.5" }, { r: "1.5" }, { r: "1" }, { r: "2" }],
    ["a column that holds both", { i: "1" }, { r: "1.5" }, { r: "2.25" }, { r: "2.75" }],
    ["a whole sum of both is INTEGER", { i: "1" }, { r: "1.5" }, { r: "2.5" }, { i: "3" }],
  ];
  test.each(CASES)("%s", (_promise, base, parent, child, sum) => {
    expect(merge("counter", base, parent, child)).toEqual({ value: sum });
    expect(merge("counter", base, child, parent)).toEqual({ value: sum });
  });

  test("what is no finite number is left to `otherwise`", () => {
    const cases: [Value | undefined, Value, Value][] = [
      [undefined, "1", "2"],
      [null, "1", "2"],
      ["1", null, "2"],
      ["1", "NaN", "2"],
      ["1", "2", "Infinity"],
      ["1", "$2.00", "3"],
      ["1", "", "3"],
      ["1", "1e9999999", "3"],
      [{ i: "0" }, { i: "9223372036854775807" }, { i: "1" }],
      [{ r: "0" }, { r: "1.7e308" }, { r: "1.7e308" }],
      [{ r: "0" }, { r: "Infinity" }, { r: "1" }],
      [{ i: "0" }, "1", { i: "2" }],
      [{ b: "00" }, { b: "01" }, { b: "02" }],
    ];
    for (const [base, parent, child] of cases) {
      expect(merge("counter", base, parent, child), JSON.stringify([base, parent, child])).toEqual(overlap);
    }
  });

  test("two equal edits are two edits; without a base, or without numbers, they are one", () => {
    expect(merge("counter", "10", "12", "12")).toEqual({ value: "14" });
    expect(merge("counter", undefined, "12", "12")).toEqual({ value: "12" });
    expect(merge("counter", "10", null, null)).toEqual({ value: null });
    expect(merge("counter", null, "2", "2")).toEqual(overlap);
  });

  test("any interleaving of the sides' differences sums up exactly", () => {
    const cents = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n });
    const written = (value: bigint): string => {
      const digits = String(value < 0n ? -value : value).padStart(3, "0");
      return `${value < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
    };
    fc.assert(
      fc.property(cents, fc.array(fc.tuple(fc.nat(2), cents), { maxLength: 20 }), (start, writes) => {
        // three children work on what they last saw; each write is judged at the parent before the child sees the outcome
        let parent = start;
        const seen = [start, start, start];
        const own = [...seen];
        for (const [child, difference] of writes) {
          own[child] = (own[child] ?? 0n) + difference;
          const result = merge("counter", written(seen[child] ?? 0n), written(parent), written(own[child] ?? 0n));
          parent = BigInt(String((result as { value: Value }).value).replace(".", ""));
          if (difference % 2n === 0n) own[child] = parent;
          seen[child] = own[child] ?? 0n;
        }
        expect(parent).toBe(writes.reduce((sum, [, difference]) => sum + difference, start));
      }),
    );
  });
});

describe("max and min", () => {
  const CASES: readonly [what: string, lesser: Value, greater: Value][] = [
    ["numbers as numbers", "9", "10"],
    ["numbers of any size", "99999999999999999999.1", "99999999999999999999.2"],
    ["infinities", "-Infinity", "1e300"],
    ["NaN is the greatest, as in Postgres", "Infinity", "NaN"],
    ["dates", "2024-01-31", "2024-02-01"],
    ["dates of any year", "9999-12-31", "10000-01-01"],
    ["dates before our era", "0044-03-15 BC", "0001-01-01"],
    ["timestamps", "2024-01-01 10:00:00", "2024-01-01 10:00:00.000001"],
    ["timestamps with offsets, by the time they mean", "2024-01-01 12:00:00+02", "2024-01-01 11:00:00+00"],
    ["a date and a timestamp", "2024-01-01", "2024-01-01T00:00:01Z"],
    ["the infinite date", "2024-01-01", "infinity"],
    ["text by code units", "Zoe", "ada"],
    ["text and numbers by code units", "10", "a"],
    ["no date: by code units", "2024-13-01", "2024-2-1"],
    ["INTEGER", { i: "9223372036854775806" }, { i: "9223372036854775807" }],
    ["INTEGER and REAL", { r: "1.5" }, { i: "2" }],
    ["REAL", { r: "-Infinity" }, { r: "1e-300" }],
    ["BLOB by bytes", { b: "00ff" }, { b: "01" }],
    ["the same number in two spellings", "1.0", "1.00"],
    ["the same time in two spellings", "2024-01-01 00:00:00+00", "2024-01-01 01:00:00+01"],
  ];
  test.each(CASES)("%s", (_what, lesser, greater) => {
    for (const base of [undefined, null, "5"]) {
      for (const [parent, child] of [
        [lesser, greater],
        [greater, lesser],
      ] as const) {
        expect(merge("max", base, parent, child)).toEqual({ value: greater });
        expect(merge("min", base, parent, child)).toEqual({ value: lesser });
      }
    }
  });

  test("NULL loses against any value", () => {
    for (const kind of ["max", "min"] as const) {
      expect(merge(kind, undefined, null, "1")).toEqual({ value: "1" });
      expect(merge(kind, undefined, "1", null)).toEqual({ value: "1" });
    }
  });

  test("what cannot be compared is left to `otherwise`", () => {
    expect(merge("max", undefined, "1", { i: "1" })).toEqual(overlap);
    expect(merge("max", undefined, { b: "01" }, { i: "1" })).toEqual(overlap);
  });

  test("the order of the days is that of the calendar", () => {
    const day = fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(day, day, (a, b) => {
        const [one, other] = [a.toISOString(), b.toISOString()];
        expect(merge("max", undefined, one, other)).toEqual({ value: a >= b ? one : other });
      }),
    );
  });

  test("the order of merging does not matter", () => {
    const value = fc.constantFrom<Value>("1", "1.0", "10", "9", "a", "2024-01-01", "2024-01-01 00:00:00+00", "NaN", "", null);
    const max = (a: Value, b: Value): Value => (merge("max", undefined, a, b) as { value: Value }).value;
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(max(a, b)).toEqual(max(b, a));
        expect(max(max(a, b), b)).toEqual(max(a, b));
      }),
    );
  });
});

describe("set", () => {
  const CASES: readonly [promise: string, base: string | null | undefined, parent: string, child: string, merged: string][] = [
    ["added by both", "{a}", "{a,b}", "{a,c}", "{a,b,c}"],
    ["removed by one, added by the other", "{a,b}", "{a,b,c}", "{b,d}", "{b,c,d}"],
    ["removed by both", "{a,b,c}", "{b,c}", "{a,b}", "{b}"],
    ["nothing is left", "{a,b}", "{a}", "{b}", "{}"],
    [
      "elements with blanks, quotes, braces and NULL",
      "{}",
      '{"b c",NULL,"say \\"hi\\""}',
      '{"NULL","","{}",NULL}',
      '{"b c",NULL,"say \\"hi\\"","NULL","","{}"}',
    ],
    ["an empty array is one without elements", "{}", "{a}", "{b}", "{a,b}"],
    ["where the base is not known nothing is removed", undefined, "{a,b}", "{b,c}", "{a,b,c}"],
    ["a column that was NULL was empty", null, "{a}", "{b}", "{a,b}"],
    ["every element once", "{a}", "{a,b,b}", "{a,c}", "{a,b,c}"],
    ["JSON", '["a","b"]', '["a","b",1.0]', '["b",1,2,{"x":1}]', '["b",1.0,2,{"x":1}]'],
    ["JSON as Postgres prints it", '["a", "b"]', '["a", "b", "c"]', '["b"]', '["b", "c"]'],
  ];
  test.each(CASES)("%s", (_promise, base, parent, child, merged) => {
    expect(merge("set", base, parent, child)).toEqual({ value: merged });
  });

  test("what is no set of one dimension is left to `otherwise`", () => {
    const cases: [Value, Value, Value][] = [
      ["{{a},{b}}", "{{a}}", "{{b}}"],
      ["[0:1]={a,b}", "[0:0]={a}", "[0:0]={b}"],
      ["a,b", "a", "a,c"],
      ["{a}", '["a"]', "{b}"],
      ["{a}", null, "{b}"],
      ["{a}", "{a,}", "{b}"],
      ["{a}", "{a", "{b}"],
      ["{a}", '{"a"b}', "{b}"],
      ['{"a":1}', '{"a":2}', '{"a":3}'],
      [{ i: "1" }, { i: "2" }, { i: "3" }],
    ];
    for (const [base, parent, child] of cases) expect(merge("set", base, parent, child), String(parent)).toEqual(overlap);
  });

  const member = fc.constantFrom("a", "b", 'c"', "d e", "\\", "NULL", "", "{", ",", "é\n");
  const literal = (members: readonly string[]): string => `{${members.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;

  test.each([
    ["a Postgres array", literal],
    ["a JSON array", (members: readonly string[]) => JSON.stringify(members)],
  ] as const)("%s is merged as a set is", (_what, written) => {
    const members = fc.uniqueArray(member);
    fc.assert(
      fc.property(members, members, members, (base, parent, child) => {
        // what one side alone changed is that side's, order and all
        fc.pre(new Set([base, parent, child].map(written)).size === 3);
        const expected = [...new Set([...parent, ...child])].filter((text) =>
          base.includes(text) ? parent.includes(text) && child.includes(text) : true,
        );
        const read = (one: readonly string[], other: readonly string[]): unknown => {
          const result = merge("set", written(base), written(one), written(other));
          // read back through a merge in which nothing happens but that all of it is put in
          return "value" in result && merge("set", undefined, String(result.value), written(["mark"]));
        };
        expect(read(parent, child)).toEqual(merge("set", undefined, written(expected), written(["mark"])));
        const swapped = [...new Set([...child, ...parent])].filter((text) => expected.includes(text));
        expect(read(child, parent)).toEqual(merge("set", undefined, written(swapped), written(["mark"])));
      }),
    );
  });
});

test("what only one side changed is that side's, whatever the kind; the same edit is no overlap", () => {
  const value = fc.constantFrom<Value>(null, "", "x", "1", "1.0", "{a}", "[1]", { i: "1" }, { r: "1" }, { b: "00" });
  const kind = fc.constantFrom<MergeKind>("text", "json", "set", "counter", "max", "min");
  fc.assert(
    fc.property(kind, value, value, (how, base, edited) => {
      expect(merge(how, base, edited, base)).toEqual({ value: edited });
      expect(merge(how, base, base, edited)).toEqual({ value: edited });
      // what a counter's two equal edits are is said above
      if (how !== "counter") expect(merge(how, base, edited, edited)).toEqual({ value: edited });
    }),
  );
});
