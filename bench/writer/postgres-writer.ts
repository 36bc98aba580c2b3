import pg from "pg";
import { MARKER_ID } from "../stores/store.ts";
import type { Writer } from "./protocol.ts";

/** Values of row `i`, the same ones as in SQLite. */
const ROW = (i: string): string =>
  `'customer ' || (${i} % 1000), (${i} % 100000) || '.50', to_timestamp(1767225600 + ${i}), 'order ' || ${i} || ' of the spring sale'`;

const INSERT = `insert into bench (id, customer, amount, at, note)
  select i, c, a::numeric, t, n from generate_series($1::bigint, $2::bigint) as i, lateral (select ${ROW("i")}) as v(c, a, t, n)`;
const UPDATE = "update bench set amount = amount + 1, note = 'pass ' || $3::text || ' over ' || id where id between $1 and $2";
const INSERT_ONE = `insert into bench (id, customer, amount, at, note)
  select $1::bigint, c, a::numeric, t, n from (select ${ROW("$1::bigint")}) as v(c, a, t, n)`;
const UPDATE_ONE = "update bench set amount = amount + 1, note = 'pass ' || $2::text || ' over ' || id where id = $1";
const MARK = "update bench set note = $2 where id = $1";
const FIRST_MARK = "insert into bench (id, customer, amount, at, note) values ($1, 'marker', 0.50, '2026-01-01 00:00:00+00', $2)";

/** Prepared statements on four connections, every statement a transaction. */
export async function postgresWriter(url: string): Promise<Writer> {
  const clients: pg.Client[] = [];
  for (let i = 0; i < 4; i++) {
    const client = new pg.Client({ connectionString: url, application_name: "bench writer" });
    await client.connect();
    clients.push(client);
  }
  const run = async (name: string, text: string, values: readonly unknown[], client = 0): Promise<number> => {
    const { rowCount } = await clients[client]!.query({ name, text, values: [...values] });
    return rowCount ?? 0;
  };
  return {
    connections: clients.length,
    insert: async (from, rows) => void (await run("insert", INSERT, [from, from + rows - 1])),
    update: async (from, rows, pass) => void (await run("update", UPDATE, [from, from + rows - 1, pass])),
    updateOne: async (id, pass, client) => void (await run("update_one", UPDATE_ONE, [id, pass], client)),
    insertOne: async (id, client) => void (await run("insert_one", INSERT_ONE, [id], client)),
    durable: async (on) => {
      for (const client of clients) await client.query(`set synchronous_commit = ${on ? "on" : "off"}`);
    },
    mark: async (token) => {
      if ((await run("mark", MARK, [MARKER_ID, token])) === 0) await run("first_mark", FIRST_MARK, [MARKER_ID, token]);
    },
  };
}
