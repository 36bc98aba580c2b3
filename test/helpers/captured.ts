import type pg from "pg";
import { channelName, tableName } from "../../replicator/change/names.ts";
import { PLAIN_RULE } from "../../replicator/change/verdict.ts";
import type { Installation, WantedTable } from "../../replicator/node/installation.ts";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { createPostgresInstallation } from "../../replicator/node/postgres/install.ts";
import { type FreshDatabase, freshDatabase } from "./postgres.ts";

/** A fresh database in which a bare role has created tables, and what a test needs to look at their capture. */
export interface CapturedDatabase extends FreshDatabase {
  /** The replicator's role: it owns the tables. */
  readonly pool: pg.Pool;
  readonly installation: Installation;
  /** What the log holds, oldest first, as `op table key old new` with rows as objects of texts; the log is empty afterwards. */
  taken(): Promise<LoggedChange[]>;
  query(text: string, values?: unknown[]): Promise<{ [column: string]: string | null }[]>;
}

export interface LoggedChange {
  readonly table: string;
  readonly op: string;
  readonly key: Row;
  readonly old: Row | null;
  readonly new: Row | null;
  readonly origin: number | null;
}

type Row = { readonly [column: string]: string | null };

export const wantedTable = (local: string, detect: "column" | "row" = "column"): WantedTable => ({
  table: tableName(local),
  channel: channelName("sales"),
  local,
  wholeImages: detect === "row",
  conflict: PLAIN_RULE,
  exclude: [],
  receives: true,
  sharesKeys: false,
  filters: [],
  idStride: null,
});

export async function capturedDatabase(ddl: string, wanted: readonly (string | WantedTable)[]): Promise<CapturedDatabase> {
  const database = await freshDatabase({ bareRole: true });
  const pool = createPool({ url: database.url });
  const installation = createPostgresInstallation({ pool });
  await pool.query(ddl);
  await installation.apply(wanted.map((table) => (typeof table === "string" ? wantedTable(table) : table)));
  const query = async (text: string, values?: unknown[]) => (await pool.query(text, values)).rows;
  return { ...database, pool, installation, query, taken: () => takeLog(pool), drop: () => pool.end().then(database.drop) };
}

async function takeLog(pool: pg.Pool): Promise<LoggedChange[]> {
  const { rows } = await pool.query<{ log: string }>(
    `with gone as (delete from tombolo.change returning *)
     select coalesce(json_agg(json_build_object('table', t.table_name, 'op', g.op, 'key', tombolo.hstore_to_json(g.key), 'old', tombolo.hstore_to_json(g.old),
              'new', tombolo.hstore_to_json(g.new), 'origin', g.origin) order by g.seq), '[]')::text as log
       from gone g join tombolo.captured_table t on t.id = g.table_id`,
  );
  return JSON.parse(rows[0]?.log ?? "[]") as LoggedChange[];
}
