import Database from "better-sqlite3";
import { MARKER_ID } from "../stores/store.ts";
import type { Writer } from "./protocol.ts";

/** Values of row `i`, the same ones as in Postgres. */
const ROW = (i: string): string =>
  `'customer ' || (${i} % 1000), (${i} % 100000) || '.50', strftime('%Y-%m-%d %H:%M:%S+00', 1767225600 + ${i}, 'unixepoch'),
   'order ' || ${i} || ' of the spring sale'`;

const INSERT = `insert into bench (id, customer, amount, at, note)
  with recursive series(i) as (select :first union all select i + 1 from series where i < :last) select i, ${ROW("i")} from series`;
const ADD_ONE = "amount = cast(cast(amount as integer) + 1 as text) || '.50'";

/** One connection as an application would open it: WAL, synchronous=NORMAL. SQLite has one writer at a time anyway. */
export function sqliteWriter(path: string): Writer {
  const database = new Database(path, { timeout: 30_000 });
  database.pragma("synchronous = normal");
  const insert = database.prepare(INSERT);
  const update = database.prepare(
    `update bench set ${ADD_ONE}, note = 'pass ' || :pass || ' over ' || id where id between :first and :last`,
  );
  const mark = database.prepare("update bench set note = :token where id = :id");
  const firstMark = database.prepare(
    "insert into bench (id, customer, amount, at, note) values (:id, 'marker', '0.50', '2026-01-01 00:00:00+00', :token)",
  );
  const write = (first: number, last: number) => insert.run({ first: BigInt(first), last: BigInt(last) });
  const change = (first: number, last: number, pass: number) =>
    update.run({ first: BigInt(first), last: BigInt(last), pass: BigInt(pass) });
  return {
    connections: 1,
    insert: async (from, rows) => void write(from, from + rows - 1),
    update: async (from, rows, pass) => void change(from, from + rows - 1, pass),
    updateOne: async (id, pass) => void change(id, id, pass),
    insertOne: async (id) => void write(id, id),
    durable: async (on) => void database.pragma(`synchronous = ${on ? "full" : "normal"}`),
    mark: async (token) => {
      if (mark.run({ id: MARKER_ID, token }).changes === 0) firstMark.run({ id: MARKER_ID, token });
    },
  };
}
