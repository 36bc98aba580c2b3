import Database from "better-sqlite3";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { columnKind } from "../../replicator/change/values/affinity.ts";
import { sameStored } from "../../replicator/change/values/same.ts";
import { type Bindable, looksLikeNumber, survives } from "../../replicator/change/values/storage.ts";
import { SQLITE_COLUMNS, sqliteTable, storedValue } from "./engines.ts";

const sqlite = new Database(":memory:").defaultSafeIntegers(true);
afterAll(() => sqlite.close());

/** A value as it is before it is stored. */
function sent(bound: Bindable) {
  if (typeof bound === "bigint") return storedValue({ class: "integer", v: bound });
  if (typeof bound === "number") return storedValue({ class: "real", v: bound });
  return storedValue({ class: bound === null ? "null" : typeof bound === "string" ? "text" : "blob", v: bound });
}

const digits = fc.stringMatching(/^[0-9]{0,22}$/);
const numberLike = fc
  .tuple(
    fc.constantFrom("", "", " ", "\n", "\t ", "\v", "\f", "\u00a0", "x"),
    fc.constantFrom("", "-", "+", "--"),
    digits,
    fc.constantFrom("", "", ".", "..", ","),
    digits,
    fc.constantFrom("", "", "e5", "E-3", "e+400", "e", "e+", "e5.", "E 5", "_1", "\0", "\0x", "f"),
    fc.constantFrom("", "", " ", "\r\n", " x"),
  )
  .map((parts) => parts.join(""));
const text = fc.oneof(
  numberLike,
  fc.string({ unit: "binary" }),
  fc.constantFrom("NaN", "Infinity", "inf", "0x1f", "1e", ".", "-", "", "9223372036854775808"),
);
const bindable: fc.Arbitrary<Bindable> = fc.oneof(
  text,
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double(),
  fc.integer(),
  fc.constantFrom(-0, 2 ** 63, -(2 ** 63), 2 ** 53 + 2, 1e15, Number.NaN),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(null),
);

describe("what SQLite stores", () => {
  test.each(SQLITE_COLUMNS)(
    "survives() says exactly whether a column $type (strict: $strict) keeps a value as it is",
    ({ type, strict }) => {
      const store = sqliteTable(sqlite, `survives ${type} ${strict}`, type, strict);
      const kind = columnKind(type, strict);
      fc.assert(
        fc.property(bindable, (bound) => {
          let kept: boolean;
          try {
            kept = sameStored(store(bound), sent(bound)) && !(typeof bound === "number" && Number.isNaN(bound));
          } catch (error) {
            if (!(error instanceof Database.SqliteError) || error.code !== "SQLITE_CONSTRAINT_DATATYPE") throw error;
            kept = false;
          }
          expect(survives(bound, kind)).toBe(kept);
        }),
        { numRuns: 1_000 },
      );
    },
  );

  test("looksLikeNumber() is SQLite's own opinion", () => {
    const store = sqliteTable(sqlite, "opinion", "NUMERIC", false);
    fc.assert(
      fc.property(text, (value) => {
        expect(looksLikeNumber(value)).toBe(typeof store(value) !== "string");
      }),
      { numRuns: 10_000 },
    );
  });

  test("columnKind() gives a declared type the affinity that SQLite gives it", () => {
    const words = [
      "INT",
      "int",
      "CHAR",
      "Clob",
      "TEXT",
      "BLOB",
      "REAL",
      "floa",
      "DOUB",
      "NUM",
      "POINT",
      "DATE",
      "ANY",
      "JSON",
      "bool",
      "ınt",
      "x",
    ];
    let number = 0;
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 3 }), fc.boolean(), (parts, sized) => {
        const type = parts.map((word) => `"${word}"`).join(" ") + (sized && parts.length > 0 ? "(10)" : "");
        const store = sqliteTable(sqlite, `kind ${number++}`, type, false);
        const columns = sqlite.pragma(`table_info("kind ${number - 1}")`) as { type: string }[];
        const declared = columns[1]?.type ?? "";
        const [fromInteger, fromText] = [store(7n), store("7")];
        const actual =
          typeof fromInteger === "string" ? "text" : typeof fromText === "string" ? "none" : "r" in (fromText ?? {}) ? "real" : "number";
        expect(columnKind(declared, false), declared).toBe(actual);
      }),
      { numRuns: 500 },
    );
  });
});

describe("sameStored", () => {
  test("looks through the spelling of reals and blobs, and keeps classes, signs of zero and NULL apart", () => {
    expect(sameStored({ r: "1e300" }, { r: "1.0e+300" })).toBe(true);
    expect(sameStored({ r: "3.0" }, { r: "3" })).toBe(true);
    expect(sameStored({ r: "Inf" }, { r: "Infinity" })).toBe(true);
    expect(sameStored({ b: "FF" }, { b: "ff" })).toBe(true);
    expect(sameStored(null, null)).toBe(true);
    expect(sameStored({ r: "-0.0" }, { r: "0.0" })).toBe(false);
    expect(sameStored({ i: "3" }, { r: "3.0" })).toBe(false);
    expect(sameStored("3", { i: "3" })).toBe(false);
    expect(sameStored("", null)).toBe(false);
    expect(sameStored("ff", { b: "ff" })).toBe(false);
  });
});
