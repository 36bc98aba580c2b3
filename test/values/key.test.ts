import { expect, test } from "vitest";
import { columnKind } from "../../replicator/change/values/affinity.ts";
import { compileKeyToPostgres } from "../../replicator/change/values/key.ts";
import { column, orRefused } from "./engines.ts";
import { FROM_SQLITE } from "./from-sqlite.ts";

/** Types whose text goes to Postgres unread. */
const UNREAD = new Set(["jsonb", "interval", "inet", "_int4"]);

test.each(FROM_SQLITE)("a key of $type in a column '$sqlite' is taken only as it will come back", ({ type, base, sqlite, ...values }) => {
  const convert = compileKeyToPostgres(column(sqlite), "sqlite", column(type, base));
  for (const value of values.same ?? [])
    expect(
      orRefused(() => convert(value)),
      JSON.stringify(value),
    ).not.toBe("refused");
  if (UNREAD.has(base)) return;
  for (const [value] of values.printed ?? [])
    expect(
      orRefused(() => convert(value)),
      JSON.stringify(value),
    ).toBe("refused");
  for (const value of values.refused ?? [])
    expect(
      orRefused(() => convert(value)),
      JSON.stringify(value),
    ).toBe("refused");
});

test("the table above has columns that keep every class, where only one comes back", () => {
  expect(
    FROM_SQLITE.filter(({ sqlite, printed }) => columnKind(sqlite, false) === "none" && (printed ?? []).length > 0).length,
  ).toBeGreaterThan(1);
});

test("keys between Postgres nodes go as they are", () => {
  expect(compileKeyToPostgres(column("text", "text"), "postgres", column("text", "text"))("A")).toBe("A");
});
