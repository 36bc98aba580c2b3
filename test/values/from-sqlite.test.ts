import Database from "better-sqlite3";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import type { Value } from "../../replicator/change/value.ts";
import { columnKind } from "../../replicator/change/values/affinity.ts";
import { sameStored } from "../../replicator/change/values/same.ts";
import { type Bindable, survives } from "../../replicator/change/values/storage.ts";
import { toPostgresText } from "../../replicator/change/values/to-postgres.ts";
import { compileToSqlite, toSqlite } from "../../replicator/change/values/to-sqlite.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";
import { column, orRefused, SQLITE_COLUMNS, sqliteTable } from "./engines.ts";
import { FROM_SQLITE } from "./from-sqlite.ts";
import { connect } from "./postgres-pins.ts";

let database: FreshDatabase;
let client: pg.Client;
const sqlite = new Database(":memory:").defaultSafeIntegers(true);

beforeAll(async () => {
  database = await freshDatabase();
  client = await connect(database.url);
});
afterAll(async () => {
  sqlite.close();
  await client.end();
  await database.drop();
});

/** What Postgres stores and prints for a text in a column of the type. */
async function print(text: string | null, type: string): Promise<string | null> {
  await client.query(`create temp table p (v ${type})`);
  try {
    await client.query("insert into p values ($1)", [text]);
    const { rows } = await client.query("select case when v is not null then format('%s', v) end as v from p");
    return rows[0].v;
  } finally {
    await client.query("drop table p");
  }
}

const bind = (value: Value): Bindable => compileToSqlite(column(""), "sqlite", column(""), false)(value);

describe("SQLite to Postgres to SQLite", () => {
  test.each(FROM_SQLITE.map((entry, index) => ({ ...entry, index })))(
    "$type from a column '$sqlite': the same, printed otherwise, or refused as listed",
    async (entry) => {
      const [sqliteColumn, pgColumn] = [column(entry.sqlite), column(entry.type, entry.base)];
      const store = sqliteTable(sqlite, `f${entry.index}`, entry.sqlite, false);
      for (const value of entry.same ?? []) {
        expect(sameStored(store(bind(value)), value), `${JSON.stringify(value)} is stored as written here`).toBe(true);
        const printed = await print(toPostgresText(value, sqliteColumn, "sqlite", pgColumn), entry.type);
        const back = store(toSqlite(printed, pgColumn, "postgres", sqliteColumn, false));
        expect(back).toEqual(value === null ? null : expect.toSatisfy((other: Value) => sameStored(other, value)));
      }
      for (const [value, expected] of entry.printed ?? []) {
        expect(await print(toPostgresText(value, sqliteColumn, "sqlite", pgColumn), entry.type)).toBe(expected);
      }
      for (const value of entry.refused ?? []) {
        expect(
          orRefused(() => toPostgresText(value, sqliteColumn, "sqlite", pgColumn)),
          JSON.stringify(value),
        ).toBe("refused");
      }
    },
  );

  test("a text without a zone means UTC, whatever the zone and date style of the session", async () => {
    const text = toPostgresText("2024-02-29 12:34:56", column("DATETIME"), "sqlite", column("timestamp with time zone", "timestamptz"));
    await client.query("begin; set local timezone = 'Asia/Kathmandu'; set local datestyle = 'German, DMY'");
    const { rows } = await client.query("select extract(epoch from $1::timestamptz)::bigint as seconds", [text]);
    await client.query("rollback");
    expect(rows[0].seconds).toBe("1709210096");
  });

  test("a refusal names the column and both types, what is accepted, and never the value", () => {
    const attempt = () =>
      toPostgresText("secret value", { ...column("INTEGER"), name: "a" }, "sqlite", { ...column("bigint", "int8"), name: "qty" });
    expect(attempt).toThrow(TomboloError);
    expect(attempt).toThrow(
      /column qty: a value of SQLite INTEGER has no exact form in Postgres bigint: TEXT, accepted is: decimal digits/,
    );
    expect(attempt).not.toThrow(/secret/);
    const down = () => toSqlite("007secret", column("text", "text"), "postgres", column("INTEGER"), true);
    expect(down).toThrow(/Postgres text has no exact form in SQLite INTEGER/);
    expect(down).not.toThrow(/secret/);
  });
});

describe("SQLite to SQLite", () => {
  const VALUES: readonly Value[] = [
    null,
    "",
    "7",
    "007",
    "abc",
    "a\0b",
    { i: "7" },
    { i: "-9223372036854775808" },
    { r: "7.0" },
    { r: "0.1" },
    { r: "-0" },
    { r: "Infinity" },
    { b: "" },
    { b: "00ff" },
  ];

  test.each(SQLITE_COLUMNS)("a column $type (strict: $strict) gets every value as it was, or refuses it", ({ type, strict }) => {
    const store = sqliteTable(sqlite, `copy ${type} ${strict}`, type, strict);
    const convert = compileToSqlite(column(""), "sqlite", column(type), strict);
    for (const value of VALUES) {
      const bound = orRefused(() => convert(value));
      if (bound === "refused") expect(survives(bind(value), columnKind(type, strict))).toBe(false);
      else expect(sameStored(store(bound), value), JSON.stringify(value)).toBe(true);
    }
  });
});

describe("texts that no Postgres of today prints", () => {
  test.each([
    ["bytea", "bytea", "BLOB", ["\\x0", "\\xzz", "abc", "", "\\000"]],
    ["bigint", "int8", "INTEGER", ["", "1.0", "abc", "0x1", "1e3", " 1"]],
    ["boolean", "bool", "BOOLEAN", ["true", "1", ""]],
    ["double precision", "float8", "REAL", ["", "abc", "1,5"]],
    ["numeric(10,2)", "numeric", "NUMERIC", ["3", "3.0", "3.000", "", "x"]],
  ] as const)("%s refuses them instead of guessing", (type, base, sqliteType, texts) => {
    const convert = compileToSqlite(column(type, base), "postgres", column(sqliteType), false);
    for (const text of texts)
      expect(
        orRefused(() => convert(text)),
        text,
      ).toBe("refused");
  });
});

describe("Postgres to Postgres", () => {
  test("text goes as it is; anything else is a broken sender", () => {
    const text = column("text", "text");
    expect(toPostgresText("a'b\\c😀", text, "postgres", text)).toBe("a'b\\c😀");
    expect(toPostgresText(null, text, "postgres", text)).toBeNull();
    expect(orRefused(() => toPostgresText({ i: "1" }, text, "postgres", text))).toBe("refused");
    expect(orRefused(() => toSqlite({ i: "1" }, text, "postgres", column("TEXT"), false))).toBe("refused");
  });
});
