import pg from "pg";
import { expect, test } from "vitest";
import { nodeName, type Position, START, tableName } from "../../replicator/change/names.ts";
import { parseRow, type Value } from "../../replicator/change/value.ts";
import { postgresNode } from "../helpers/nodes.ts";
import { type Random, random } from "../helpers/random.ts";
import { readAll, withDatabase } from "../sqlite/database.ts";
import { FUZZ } from "./counts.ts";

/** Rows per reading of the log. */
const ROUND = 100;
/** What quoting, hstore, JSON, COPY and collations mean something by. */
const PIECES = [
  '"',
  "'",
  "''",
  "\\",
  "\\\\",
  "=>",
  ",",
  "{",
  "}",
  "[",
  "]",
  ":",
  "NULL",
  "null",
  " ",
  "\t",
  "\n",
  "\r",
  "\u0001",
  "\u007f",
  "\u2028",
  "é",
  "e\u0301",
  "🏝",
  "\uffff",
  "$1",
  "%s",
  "--",
  "\\u0000",
  "\\N",
  "\\.",
  "a",
  "Z",
  "0",
];
const NAMES = [
  "id",
  'q"uote',
  "it's",
  "back\\slash",
  "größe",
  "a=>b",
  "{c}",
  "with space",
  "NULL",
  "__proto__",
  "constructor",
  "$1",
  "new",
  "old",
  "x,y",
];

const text = ({ int, pick }: Random, extra: readonly string[] = []): string =>
  Array.from({ length: int(6) }, () => pick([...PIECES, ...extra])).join("");
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

test("any row of Postgres comes out of the log as it went in", { timeout: 60_000 + FUZZ.rows * 20 }, async () => {
  const chosen = random(FUZZ.seed);
  const columns = NAMES.map((name, at) => `${quoted(name)} ${at === 0 ? "integer primary key" : "text"}`);
  const typed = "j json, jb jsonb, a text[], f float8, n numeric, b bytea, t timestamptz";
  const hub = await postgresNode("hub", `create table public.odd (${columns.join(", ")}, ${typed})`, [{ name: "odd" }]);
  const client = new pg.Client({ connectionString: hub.database.url });
  try {
    await client.connect();
    await hub.node.target.meet([{ name: nodeName("reader"), role: "child" }]);
    const names = [...NAMES, "j", "jb", "a", "f", "n", "b", "t"];
    const table = `public.odd (${names.map(quoted).join(", ")})`;
    const places = names.map((_, at) => `$${at + 1}`).join(", ");
    const asText = names.map((name) => `${quoted(name)}::text`).join(", ");
    const orNull = <T>(value: T): T | null => (chosen.chance(0.2) ? null : value);
    const row = (id: number): unknown[] => [
      id,
      ...NAMES.slice(1).map(() => orNull(text(chosen))),
      orNull(JSON.stringify({ [text(chosen)]: text(chosen), n: chosen.int(9) / 7 })),
      orNull(JSON.stringify([text(chosen), null])),
      orNull(Array.from({ length: chosen.int(3) }, () => orNull(text(chosen)))),
      orNull(chosen.pick(["NaN", "-Infinity", "1e-300", "0.1", "-0"])),
      orNull(chosen.pick(["3000.00", "3e50", "NaN", "-0.000001"])),
      orNull(Buffer.from(text(chosen))),
      orNull(chosen.pick(["infinity", "0044-03-15 12:00:00+00 BC", "2026-01-02 03:04:05.678901+02"])),
    ];
    let after: Position = (await hub.node.log.tick()).position;
    for (let first = 0; first < FUZZ.rows; first += ROUND) {
      for (let id = first; id < first + ROUND; id++) await client.query(`insert into ${table} values (${places})`, row(id));
      for (let id = first; id < first + ROUND; id += 3) {
        const set = names.slice(1).map((name, at) => `${quoted(name)} = $${at + 2}`);
        await client.query(`update public.odd set ${set.join(", ")} where id = $1`, row(id));
      }
      const upTo = (await hub.node.log.tick()).position;
      const model = new Map<string, { [column: string]: Value }>();
      const request = { reader: nodeName("reader"), tables: [tableName("odd")], after, upTo, maxRows: 1_000, maxBytes: 1 << 20 };
      for await (const group of hub.node.log.read(request)) {
        for (const change of group) {
          const { id } = parseRow(change.key) as { id: string };
          model.set(id, { ...model.get(id), ...parseRow(change.new ?? "{}") });
        }
      }
      after = upTo;
      const types = { getTypeParser: () => (value: unknown) => value } as never;
      const sql = `set timezone = utc; select ${asText} from public.odd where id >= ${first} order by id`;
      const results = (await client.query({ text: sql, rowMode: "array", types } as never)) as unknown as { rows: (string | null)[][] }[];
      const expected = results[1]?.rows ?? [];
      expect(expected.length).toBe(ROUND);
      for (const values of expected) {
        const found = model.get(values[0] as string) ?? {};
        const wanted = Object.fromEntries(names.map((name, at) => [name, values[at] ?? null]));
        expect(new Map(Object.entries(found)), `seed ${FUZZ.seed}`).toEqual(new Map(Object.entries(wanted)));
      }
    }
  } finally {
    await client.end();
    await hub.close();
  }
});

test("any row of SQLite comes out of the log as it went in", { timeout: 60_000 + FUZZ.rows * 10 }, async () => {
  const chosen = random(FUZZ.seed);
  const { int, pick } = chosen;
  const value = (): unknown =>
    pick<() => unknown>([
      () => null,
      () => text(chosen, ["\u0000"]),
      () => BigInt.asIntN(64, BigInt(int(2 ** 31)) * 0x1_0000_0001n * BigInt(1 + int(9))),
      () => pick([9223372036854775807n, -9223372036854775808n, 0n, 9007199254740993n]),
      () => pick([Number.POSITIVE_INFINITY, -0.1, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e21, 123456789.125]),
      () => Buffer.from(Array.from({ length: int(6) }, () => int(256))),
    ])();
  const told = (one: unknown): Value => {
    if (one === null || typeof one === "string") return one;
    if (typeof one === "bigint") return { i: String(one) };
    return Buffer.isBuffer(one) ? { b: one.toString("hex") } : { r: String(one) };
  };
  const columns = NAMES.map((name, at) => `${quoted(name)}${at === 0 ? " integer primary key" : ""}`);
  await withDatabase(`create table odd (${columns.join(", ")})`, ["odd"], async ({ application, node }) => {
    const insert = application.prepare(`insert into odd values (${NAMES.map(() => "?").join(", ")})`);
    const update = application.prepare(`update odd set ${NAMES.slice(1).map((name) => `${quoted(name)} = ?`)} where id = ?`);
    let after: Position = START;
    for (let first = 0; first < FUZZ.rows; first += ROUND) {
      const rows = new Map<string, { [column: string]: Value }>();
      application.transaction(() => {
        for (let id = first; id < first + ROUND; id++) {
          const values = NAMES.slice(1).map(value);
          insert.run(BigInt(id), ...values);
          const again = id % 3 === 0 ? NAMES.slice(1).map(value) : values;
          if (again !== values) update.run(...again, BigInt(id));
          rows.set(String(id), Object.fromEntries(NAMES.map((name, at) => [name, at === 0 ? { i: String(id) } : told(again[at - 1])])));
        }
      })();
      const read = await readAll(node, ["odd"], { after });
      after = read.position;
      const found = new Map<string, { [column: string]: Value }>();
      for (const change of read.changes) {
        const { i } = (parseRow(change.key) as { id: { i: string } }).id;
        found.set(i, { ...found.get(i), ...parseRow(change.new ?? "{}") });
      }
      for (const [id, row] of rows) {
        expect(new Map(Object.entries(found.get(id) ?? {})), `seed ${FUZZ.seed}, row ${id}`).toEqual(new Map(Object.entries(row)));
      }
    }
  });
});
