import fc from "fast-check";
import { expect, test } from "vitest";
import { columnsOf, filterCondition, filterParams, filterText } from "../../replicator/change/filter-text.ts";
import type { Engine } from "../../replicator/change/shape.ts";

const sql = (text: string, engine: Engine, params: { [name: string]: string } = {}): string =>
  filterCondition({ text, params }, engine, (at) => `$${at + 1}`).sql;

test.each<[string, string]>([
  ["a = 1) or (1=1", "its brackets do not match"],
  ["a in (1, 2", "its brackets do not match"],
  ["a = 1]", "its brackets do not match"],
  ["a = (1]", "its brackets do not match"],
  ["a = 1; drop table x", "it holds a semicolon"],
  ["a = 1 /* or", "a comment does not end"],
  ["a = 'x", "a quote does not end"],
  ['a = "x', "a quote does not end"],
  ["a = $1", "it holds a $ that belongs to no word: parameters are written :name"],
  ["a = '\0'", ""],
  ["a = \0", "it holds a zero character"],
  ["   ", "it is empty"],
])("%j is refused before a database sees it", (text, problem) => {
  expect(filterText(text, "postgres").problem ?? "").toBe(problem);
});

test.each<[string, Engine]>([
  ["a = ?", "sqlite"],
  ["a = @a", "sqlite"],
  ["a = #a", "sqlite"],
  ["a = $$x", "postgres"],
  ["a = `x", "sqlite"],
])("%j is refused in %s", (text, engine) => {
  expect(filterText(text, engine).problem).not.toBeNull();
});

test("what is quoted or a comment stays out of the way, each engine by its own rules", () => {
  expect(sql("a = ')' and b = ';' -- )", "postgres")).toBe("((a = ')' and b = ';'  ) is true)");
  expect(sql("a /* ) */ = 1", "sqlite")).toBe("((a   = 1) is true)");
  // backslashes escape only behind an E, and nothing in SQLite
  expect(filterText("a = E'\\'' and (b", "postgres").problem).toBe("its brackets do not match");
  expect(filterText("a = '\\' and (b", "postgres").problem).toBe("its brackets do not match");
  expect(filterText("a = '\\' and b = 1", "sqlite").problem).toBeNull();
  // quoted names of SQLite
  expect(filterParams("[a:b] = :a and `c:d` = 1", "sqlite")).toEqual(["a"]);
  // comments nest in Postgres alone
  expect(filterText("a = 1 /* /* */ ", "postgres").problem).toBe("a comment does not end");
  expect(filterText("a = 1 /* /* */ ", "sqlite").problem).toBeNull();
});

test("every occurrence of a parameter is a place of its own, and a cast is none", () => {
  expect(
    filterCondition({ text: "a = :x or b = :x::int or c = :y", params: { x: "1", y: "2" } }, "postgres", (at) => `$${at + 7}`),
  ).toEqual({
    sql: "((a = $7 or b = $8::int or c = $9) is true)",
    values: ["1", "1", "2"],
  });
  expect(() => sql("a = :constructor", "postgres")).toThrowError(expect.objectContaining({ code: "FILTER_INVALID" }));
});

test("no value of a parameter is ever in the text", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 3, unit: "grapheme" }), fc.constantFrom<Engine>("postgres", "sqlite"), (value, engine) => {
      const condition = filterCondition({ text: "region = :region", params: { region: value } }, engine, () => "?");
      expect(condition).toEqual({ sql: "((region = ?) is true)", values: [value] });
    }),
  );
});

test("whatever the text is, it is refused, or its brackets close where they were opened", () => {
  const piece = fc.constantFrom(
    "(",
    ")",
    "[",
    "]",
    "'",
    '"',
    "$q$",
    "/*",
    "*/",
    "--",
    "\n",
    "a",
    " ",
    ":p",
    "::",
    "E",
    "\\",
    ";",
    "`",
    "''",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.constantFrom<Engine>("postgres", "sqlite"), (pieces, engine) => {
      const { tokens, problem } = filterText(pieces.join(""), engine);
      if (problem !== null) return;
      let depth = 0;
      for (const { kind, text } of tokens) {
        if (kind !== "other") continue;
        expect(text).not.toBe(";");
        if (text === "(" || text === "[") depth += 1;
        if (text === ")" || text === "]") depth -= 1;
        expect(depth).toBeGreaterThanOrEqual(0);
      }
      expect(depth).toBe(0);
    }),
    { numRuns: 2_000 },
  );
});

test("the columns that a filter can mean are those whose names stand in it", () => {
  const columns = ["Region", "id", "a b", 'q"', "note", "c"].map((name) => ({ name }));
  const names = (text: string, engine: Engine = "postgres"): string[] => columnsOf(text, engine, columns).map(({ name }) => name);
  expect(names("region = :note and t.ID > 1 -- c")).toEqual(["Region", "id"]);
  expect(names('"a b" = \'c\' or "q""" = 1')).toEqual(["a b", 'q"']);
  expect(names("[a b] = `c`", "sqlite")).toEqual(["a b", "c"]);
  expect(names('U&"\\0063" = 1')).toEqual(columns.map(({ name }) => name));
  expect(names("true")).toEqual([]);
});
