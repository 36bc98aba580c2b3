import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Value } from "../../replicator/change/value.ts";
import { cut, keyText, oneLine, valueText } from "../../replicator/cli/row-text.ts";
import { sideBySide } from "../../replicator/cli/side-by-side.ts";
import { rowJson } from "../../replicator/operations/row-json.ts";
import { differingColumns } from "../../replicator/operations/row-versions.ts";

describe("a value on one line", () => {
  test.each<[Value, string]>([
    [null, "NULL"],
    ["plain text", "plain text"],
    ["", "''"],
    ["NULL", "'NULL'"],
    ["-", "'-'"],
    ["?", "'?'"],
    ["-5", "-5"],
    [" padded", "' padded'"],
    ["it's", "it's"],
    ["'quoted'", "'''quoted'''"],
    ["x'00'", "'x''00'''"],
    ["two\nlines", "E'two\\nlines'"],
    ["C:\\new", "C:\\new"],
    ["C:\\new\t", "E'C:\\\\new\\t'"],
    ["\u001b[31mred", "E'\\u001b[31mred'"],
    ["abc\u202edef", "E'abc\\u202edef'"],
    [{ i: "9223372036854775807" }, "9223372036854775807"],
    [{ r: "1" }, "1.0"],
    [{ r: "1.5" }, "1.5"],
    [{ b: "00ff" }, "x'00ff'"],
  ])("%j is shown as %s", (value, shown) => {
    expect(valueText(value)).toBe(shown);
  });

  test("never holds what a terminal would act upon, and tells different texts apart", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "\\", "'", "\n", "\u001b", "n", " ", "E", "u", "x", "\u0000", "1", "0") });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [shownA, shownB] = [valueText(a), valueText(b)];
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
        expect(shownA).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        if (a !== b) expect(shownA).not.toBe(shownB);
      }),
    );
  });
});

test("names and reasons are shown without what a terminal would act upon", () => {
  expect(oneLine("ann\u001b[2J decided\n")).toBe("ann\\u001b[2J decided\\n");
  expect(oneLine("Ärger, C:\\x")).toBe("Ärger, C:\\x");
});

test("rows are JSON with all digits of their numbers", () => {
  expect(rowJson({ id: { i: "9007199254740993" }, price: { r: "2" }, photo: { b: "00ff" }, note: "x", gone: null })).toEqual({
    id: "9007199254740993",
    price: "2.0",
    photo: { b: "00ff" },
    note: "x",
    gone: null,
  });
  expect(rowJson(null)).toBeNull();
  expect(keyText({ region: "north", id: { i: "7" } })).toBe("north, 7");
});

describe("versions of a row side by side", () => {
  const base = { id: "7", note: "a", qty: "1" };
  const parent = { id: "7", note: "hub", qty: "1" };

  test("stand in columns, with those marked that differ, rows that are not there, and values that are not known", () => {
    const lines = sideBySide(
      [
        { title: "BASE", row: { note: "a", id: "7" } },
        { title: "PARENT", row: parent },
        { title: "CHILD", row: null },
        { title: "NOW", row: { ...parent, note: null } },
      ],
      null,
    );
    expect(lines).toEqual([
      "  COLUMN  BASE  PARENT  CHILD  NOW",
      "  id      7     7       -      7",
      "* note    a     hub     -      NULL",
      "  qty     ?     1       -      1",
    ]);
  });

  test("are compared as values: a number is not its text", () => {
    const sides = [
      { title: "A", row: { id: { i: "1" }, n: "5" } },
      { title: "B", row: { id: { i: "1" }, n: { i: "5" } } },
    ];
    expect([...differingColumns(sides)]).toEqual(["n"]);
  });

  test("fit the terminal; what is wide is cut around the first difference", () => {
    const long = "x".repeat(200);
    const sides = [
      { title: "BASE", row: { ...base, note: `${long}one${long}` } },
      { title: "PARENT", row: { ...base, note: `${long}two${long}` } },
      { title: "CHILD", row: { ...base, note: long } },
    ];
    const lines = sideBySide(sides, 80);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    const note = lines.find((line) => line.includes("note"));
    expect(note).toMatch(/^\* note +…x+onex+… +…x+twox+… +…x+$/);
  });

  test("stay within any sensible width whatever the values", () => {
    const row = fc.dictionary(fc.constantFrom("id", "note", "a_rather_long_name_of_a_column_that_goes_on"), fc.string());
    fc.assert(
      fc.property(fc.array(fc.option(row), { minLength: 1, maxLength: 5 }), fc.integer({ min: 100, max: 200 }), (rows, width) => {
        const lines = sideBySide(
          rows.map((each, at) => ({ title: `SIDE ${at}`, row: each })),
          width,
        );
        for (const line of lines) expect([...line].length).toBeLessThanOrEqual(width);
      }),
    );
  });

  test("a cut never splits a character", () => {
    expect(cut("🦀🦀🦀🦀", 3)).toBe("🦀🦀…");
    expect(cut("abcdef", 4, 2)).toBe("…cd…");
    expect(cut("abcdef", 4, 5)).toBe("…def");
    expect(cut("abc", 3)).toBe("abc");
  });
});
