import Database from "better-sqlite3";
import pg from "pg";
import Cursor from "pg-cursor";
import type { Clusters } from "../clusters.ts";
import { now } from "../measure/clock.ts";
import type { Sizes } from "../plan.ts";
import { withSession } from "../session.ts";
import { bare } from "../systems/bare.ts";
import type { Figures } from "./workload.ts";

const BATCH = 5000;

/**
 * The upper bound for Postgres to SQLite in one thread of Node: read the rows of a table with pg, insert them with better-sqlite3, one
 * transaction per batch. No log, no positions, no checks.
 */
export async function copyLoop(options: {
  readonly clusters: Clusters;
  readonly sizes: Sizes;
  readonly signal: AbortSignal;
}): Promise<Figures> {
  const { clusters, sizes, signal } = options;
  return withSession(
    { clusters, sizes, signal, system: bare, source: "postgres", target: "sqlite", captureOnly: true },
    async (session) => {
      await session.load(sizes.transactions * sizes.rowsPerTransaction);
      const client = new pg.Client({
        connectionString: session.source.location,
        types: { getTypeParser: () => (text: string) => text } as never,
      });
      await client.connect();
      const database = new Database(session.target.location, { timeout: 30_000 });
      try {
        const started = now();
        await copyAll(client, database);
        const seconds = (now() - started) / 1000;
        return { rows_per_second: session.rows / seconds };
      } finally {
        database.close();
        await client.end();
      }
    },
  );
}

async function copyAll(client: pg.Client, database: Database.Database): Promise<void> {
  const insert = database.prepare("insert into bench (id, customer, amount, at, note) values (?, ?, ?, ?, ?)");
  const write = database.transaction((rows: readonly string[][]) => {
    for (const row of rows) insert.run(row);
  });
  const text = "select id, customer, amount, at, note from bench order by id";
  const cursor = client.query(new Cursor<string[]>(text, [], { rowMode: "array" }));
  for (let rows = await cursor.read(BATCH); rows.length > 0; rows = await cursor.read(BATCH)) write(rows);
  await cursor.close();
}
