import Database from "better-sqlite3";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compileToPostgres } from "../../replicator/change/values/to-postgres.ts";
import { compileToSqlite } from "../../replicator/change/values/to-sqlite.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";
import { column, orRefused, sqliteTable } from "./engines.ts";
import { connect } from "./postgres-pins.ts";

let database: FreshDatabase;
let client: pg.Client;
const sqlite = new Database(":memory:").defaultSafeIntegers(true);

beforeAll(async () => {
  database = await freshDatabase();
  client = await connect(database.url);
  await client.query("select setseed(0.42)");
});
afterAll(async () => {
  sqlite.close();
  await client.end();
  await database.drop();
});

const BITS = "(random() * 4294967296)::int8";
const LONG = `((${BITS} << 32) | ${BITS})`;
/** Over the whole range of timestamp, with the far ends as likely as the rest. */
const MOMENT =
  "('epoch'::timestamp + (case when random() < 0.5 then random() * 9e12 - 2e11 else random() * 4e9 - 1e9 end)::int8 * interval '1 second' + (random() * 1e6)::int * interval '1 microsecond')";
const SPAN = `make_interval((random() * 200 - 100)::int, (random() * 30 - 15)::int, 0, (random() * 80 - 40)::int, (random() * 80 - 40)::int, 0, (random() * 200 - 100))`;
const TEXT =
  "(select coalesce(string_agg(chr((case when random() < 0.7 then 32 + random() * 90 else 161 + random() * 50000 end)::int), ''), '') from generate_series(1, (random() * 8)::int) where g is not null)";

/** An expression that makes a random value for each row `g`, and the SQLite columns that hold every such value. */
const RANDOM: readonly { readonly type: string; readonly base: string; readonly value: string; readonly sqlite: readonly string[] }[] = [
  { type: "bigint", base: "int8", value: LONG, sqlite: ["INTEGER", "NUMERIC", "TEXT", ""] },
  {
    type: "double precision",
    base: "float8",
    value: "(random() - 0.5) * power(10::float8, (random() * 600 - 300)::int)",
    sqlite: ["REAL", "NUMERIC", "TEXT", ""],
  },
  {
    type: "real",
    base: "float4",
    value: "((random() - 0.5) * power(10::float8, (random() * 70 - 35)::int))::float4",
    sqlite: ["REAL", "NUMERIC", "TEXT", ""],
  },
  {
    type: "numeric(12,3)",
    base: "numeric",
    value: "((random() - 0.5) * power(10, (random() * 9)::int))",
    sqlite: ["REAL", "NUMERIC", "TEXT", ""],
  },
  { type: "numeric", base: "numeric", value: `${LONG}::numeric * ${LONG} / 10 ^ ((random() * 30)::int)`, sqlite: ["TEXT", ""] },
  { type: "timestamp without time zone", base: "timestamp", value: MOMENT, sqlite: ["TEXT", "DATETIME", ""] },
  {
    type: "timestamp with time zone",
    base: "timestamptz",
    value: `${MOMENT} at time zone 'UTC'`,
    sqlite: ["TEXT", "DATETIME", "INTEGER", ""],
  },
  { type: "date", base: "date", value: `(${MOMENT})::date`, sqlite: ["TEXT", "DATE", ""] },
  { type: "time without time zone", base: "time", value: `(${MOMENT})::time`, sqlite: ["TEXT", "TIME"] },
  {
    type: "time with time zone",
    base: "timetz",
    value: `((${MOMENT})::time::text || (case when random() < 0.5 then '+' else '-' end) || (random() * 15)::int || ':' || lpad((random() * 59)::int::text, 2, '0'))::timetz`,
    sqlite: ["TEXT", "TIME"],
  },
  { type: "interval", base: "interval", value: SPAN, sqlite: ["TEXT", "INTERVAL"] },
  { type: "money", base: "money", value: `(${LONG} / 1000)::numeric::money`, sqlite: ["TEXT", "NUMERIC"] },
  { type: "uuid", base: "uuid", value: "gen_random_uuid()", sqlite: ["TEXT", "UUID", ""] },
  { type: "bytea", base: "bytea", value: "decode(md5(random()::text), 'hex')", sqlite: ["BLOB", "TEXT", "INTEGER", ""] },
  { type: "text", base: "text", value: TEXT, sqlite: ["TEXT", ""] },
  { type: "text[]", base: "_text", value: `array[${TEXT}, null, ${TEXT}]`, sqlite: ["TEXT", "NUMERIC", ""] },
  {
    type: "jsonb",
    base: "jsonb",
    value: `jsonb_build_object(${TEXT}, random(), 'n', ${LONG}, 't', array[${TEXT}])`,
    sqlite: ["TEXT", "JSON"],
  },
  { type: "tstzrange", base: "tstzrange", value: `tstzrange(${MOMENT} at time zone 'UTC', null)`, sqlite: ["TEXT", "NUMERIC"] },
  {
    type: "timestamp with time zone[]",
    base: "_timestamptz",
    value: `array[${MOMENT} at time zone 'UTC', null, 'infinity']`,
    sqlite: ["TEXT"],
  },
  { type: "inet", base: "inet", value: `'0.0.0.0'::inet + ${BITS} % 4294967296`, sqlite: ["TEXT", "NUMERIC"] },
];

test.each(RANDOM.map((entry, index) => ({ ...entry, index })))(
  "a thousand random values of $type come back byte for byte",
  async ({ type, base, value, sqlite: columns, index }) => {
    const { rows } = await client.query(`select format('%s', (${value})::${type}) as text from generate_series(1, 1000) g`);
    expect(new Set(rows.map((row) => row.text)).size).toBeGreaterThan(500);
    for (const [at, declared] of columns.entries()) {
      const store = sqliteTable(sqlite, `r${index}_${at}`, declared, false);
      const down = compileToSqlite(column(type, base), "postgres", column(declared), false);
      const up = compileToPostgres(column(declared), "sqlite", column(type, base));
      const wrong = rows.map((row) => row.text as string).filter((text) => orRefused(() => up(store(down(text)))) !== text);
      expect(wrong, declared).toEqual([]);
    }
  },
);
