import { randomBytes } from "node:crypto";
import pg from "pg";
import { POSTGRES_BULK, ROW } from "./postgres-bulk.ts";
import type { Writer } from "./protocol.ts";

const UPDATE_ONE = "update bench set amount = amount + 1, note = 'pass ' || $2::text || ' over ' || id where id = $1";
const INSERT_ONE = `insert into bench (id, customer, amount, at, note)
  select $1::bigint, c, a::numeric, t, n from (select ${ROW("$1::bigint")}) as v(c, a, t, n)`;
const MARK = "update bench set note = $2 where id = $1";
const FIRST_MARK = "insert into bench (id, customer, amount, at, note) values ($1, 'marker', 0.50, '2026-01-01 00:00:00+00', $2)";

/** 100 kB that compress to no less than half. */
const body = (): string => randomBytes(50_000).toString("hex");

/** Prepared statements on four connections; a statement is a transaction where it is not one of several of a bulk. */
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
    async bulk(bulk, from, rows, pass) {
      const third = bulk.startsWith("large") ? Array.from({ length: rows }, body) : pass;
      const statements = POSTGRES_BULK[bulk];
      let changes = 0;
      if (statements.length > 1) await clients[0]!.query("begin");
      for (const [index, text] of statements.entries()) {
        const values = [from, from + rows - 1, third];
        changes += await run(`${bulk} ${index}`, text, text.includes("$3") ? values : values.slice(0, 2));
      }
      if (statements.length > 1) await clients[0]!.query("commit");
      return changes;
    },
    updateOne: async (id, pass, client) => void (await run("update_one", UPDATE_ONE, [id, pass], client)),
    insertOne: async (id, client) => void (await run("insert_one", INSERT_ONE, [id], client)),
    durable: async (on) => {
      for (const client of clients) await client.query(`set synchronous_commit = ${on ? "on" : "off"}`);
    },
    mark: async (id, token) => {
      if ((await run("mark", MARK, [id, token])) === 0) await run("first_mark", FIRST_MARK, [id, token]);
    },
  };
}
