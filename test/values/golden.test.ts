import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Column } from "../../replicator/change/shape.ts";
import type { Value } from "../../replicator/change/value.ts";
import { columnKind } from "../../replicator/change/values/affinity.ts";
import { checkPair } from "../../replicator/change/values/check.ts";
import { MAPPING } from "../../replicator/change/values/mapping.ts";
import { postgresType } from "../../replicator/change/values/postgres-type.ts";
import { compileToPostgres } from "../../replicator/change/values/to-postgres.ts";
import { compileToSqlite } from "../../replicator/change/values/to-sqlite.ts";
import { type FreshDatabase, freshDatabase, withClient } from "../helpers/postgres.ts";
import { column, orRefused, SQLITE_COLUMNS, sqliteTable } from "./engines.ts";
import { GOLDEN, GOLDEN_DDL, type GoldenType } from "./golden.ts";
import { pin } from "./postgres-pins.ts";

/** A golden type with what this server prints for its values. */
interface Printed {
  readonly golden: GoldenType;
  readonly table: string;
  readonly column: Column;
  readonly texts: readonly string[];
}

let database: FreshDatabase;
let client: pg.Client;
let printed: Printed[];

beforeAll(async () => {
  database = await freshDatabase();
  await withClient(database.superUrl, (admin) => setForRole(admin));
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  for (const statement of GOLDEN_DDL) await client.query(statement);
  const { rows: unpinned } = await client.query(
    "select '2024-02-03 04:05:06+00'::timestamptz::text as at, '1 day'::interval::text as span",
  );
  expect(unpinned[0]).toEqual({ at: "03.02.2024 09:50:06 +0545", span: "P1D" });
  await pin(client);
  printed = await load();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

/** Settings that an application's role may well have. */
async function setForRole(admin: pg.Client): Promise<void> {
  const name = new URL(database.url).pathname.slice(1);
  const settings = [
    "datestyle = 'German'",
    "intervalstyle = 'iso_8601'",
    "timezone = 'Asia/Kathmandu'",
    "bytea_output = 'escape'",
    "extra_float_digits = 0",
  ];
  for (const setting of settings) {
    await admin.query(`alter role ${pg.escapeIdentifier(database.role)} in database ${pg.escapeIdentifier(name)} set ${setting}`);
  }
  // which locales there are is the system's affair; many have only C
  for (const locale of ["de_DE.utf8", "en_US.utf8"]) {
    const setting = `alter role ${pg.escapeIdentifier(database.role)} in database ${pg.escapeIdentifier(name)} set lc_monetary = '${locale}'`;
    await admin.query(setting).catch((error: pg.DatabaseError) => expect(error.code).toBe("22023"));
  }
}

/** Fills a table per golden type and reads it as the product does, through hstore. */
async function load(): Promise<Printed[]> {
  const { rows } = await client.query("select current_setting('server_version_num')::int / 10000 as major");
  const result: Printed[] = [];
  for (const [index, golden] of GOLDEN.entries()) {
    if ((golden.since ?? 0) > rows[0].major) continue;
    const table = `golden_${index}`;
    await client.query(`create table ${table} (id integer generated always as identity primary key, v ${golden.type})`);
    await client.query(`insert into ${table} (v) select x::${golden.type} from unnest($1::text[]) with ordinality as u (x, n) order by n`, [
      golden.values,
    ]);
    const { rows: stored } = await client.query(`select hstore_to_json(hstore(g))::text as row from ${table} g order by id`);
    const texts = stored.map(({ row }) => (JSON.parse(row) as { v: string }).v);
    result.push({ golden, table, column: column(golden.type, golden.base), texts });
  }
  return result;
}

describe("Postgres to SQLite to Postgres", () => {
  test("the golden table names the types as the server does", async () => {
    for (const { golden, table } of printed) {
      const { rows } = await client.query(
        `with recursive base as (
           select t.oid, t.typname, t.typbasetype, format_type(a.atttypid, a.atttypmod) as shown
             from pg_attribute a join pg_type t on t.oid = a.atttypid where a.attrelid = $1::regclass and a.attname = 'v'
           union all select t.oid, t.typname, t.typbasetype, base.shown from base join pg_type t on t.oid = base.typbasetype)
         select typname, shown from base where typbasetype = 0`,
        [table],
      );
      expect(rows[0]).toEqual({ typname: golden.base, shown: golden.type });
    }
  });

  test("what Postgres prints is not refused by Postgres, and prints the same again", async () => {
    for (const { table, golden } of printed) {
      const { rows } = await client.query(
        `select count(*)::int as n from ${table} g, lateral (select format('%s', g.v)::${golden.type} as again) r
          where format('%s', r.again) is distinct from format('%s', g.v)`,
      );
      expect(rows[0].n, golden.type).toBe(0);
    }
  });

  test.each(SQLITE_COLUMNS)(
    "every value comes back byte for byte from a column $type (strict: $strict), or is listed as refused",
    ({ type, strict }) => {
      const sqlite = new Database(":memory:").defaultSafeIntegers(true);
      const store = sqliteTable(sqlite, "t", type, strict);
      const target = column(type);
      const kind = columnKind(type, strict);
      const failures: unknown[] = [];
      let carried = 0;
      for (const { golden, column: source, texts } of printed) {
        const down = compileToSqlite(source, "postgres", target, strict);
        const up = compileToPostgres(target, "sqlite", source);
        const never = MAPPING[postgresType(source).family].cells[kind].as === null;
        // listed by what was put in, which Postgres may print in another way
        const listed = new Set(golden.refused?.[kind] ?? []);
        for (const [at, text] of texts.entries()) {
          const input = golden.values[at] ?? "";
          const bound = orRefused(() => down(text));
          const expected = never || listed.has(input) ? "refused" : text;
          const actual = bound === "refused" ? bound : orRefused(() => up(store(bound)));
          if (actual !== expected)
            failures.push({
              type: golden.type,
              input: input.slice(0, 60),
              text: text.slice(0, 60),
              expected: expected.slice(0, 60),
              actual: String(actual).slice(0, 60),
            });
          else carried++;
        }
      }
      sqlite.close();
      expect(failures).toEqual([]);
      expect(carried).toBeGreaterThan(400);
    },
  );

  test("NULL stays NULL, and stays apart from the empty text, in every pair", () => {
    const sqlite = new Database(":memory:").defaultSafeIntegers(true);
    for (const [index, { type, strict }] of SQLITE_COLUMNS.entries()) {
      const store = sqliteTable(sqlite, `t${index}`, type, strict);
      for (const { column: source } of printed) {
        const stored: Value = store(compileToSqlite(source, "postgres", column(type), strict)(null));
        expect(stored).toBeNull();
        expect(compileToPostgres(column(type), "sqlite", source)(stored)).toBeNull();
      }
    }
    sqlite.close();
  });

  test("the plan's check of a pair agrees with what happens to the values", () => {
    for (const { type, strict } of SQLITE_COLUMNS) {
      const kind = columnKind(type, strict);
      for (const { golden, column: source, texts } of printed) {
        const check = checkPair(source, column(type), strict);
        const convert = compileToSqlite(source, "postgres", column(type), strict);
        const refused = texts.filter((text) => orRefused(() => convert(text)) === "refused").length;
        const label = `${golden.type} in ${type} ${kind}`;
        if ("error" in check) expect(refused, label).toBe(texts.length);
        if ("ok" in check) expect(refused, label).toBe(0);
      }
    }
  });
});
