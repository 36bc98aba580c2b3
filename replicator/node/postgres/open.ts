import type pg from "pg";
import type { NodeName } from "../../change/names.ts";
import type { Installation } from "../installation.ts";
import type { Node } from "../node.ts";
import { PostgresTarget } from "./apply.ts";
import { CaptureCounts } from "./capture-counts.ts";
import { CapturedTables } from "./captured-tables.ts";
import { createPool } from "./connection.ts";
import { ident } from "./identifier.ts";
import { createPostgresInstallation } from "./install.ts";
import { PostgresLog } from "./log.ts";
import { postgresError } from "./postgres-error.ts";
import { PostgresTableReader } from "./snapshot.ts";
import { Ticker } from "./ticker.ts";

export interface PostgresNodeOptions {
  readonly name: NodeName;
  /** A connection URL; an `embedded:` one must have been started, and turned into a real one, before. */
  readonly url: string;
}

/** Opens a Postgres database as a node. Connects once, so that a database that cannot be reached is told at once. */
export async function openPostgresNode(options: PostgresNodeOptions): Promise<Node> {
  const { name, url } = options;
  const pool = createPool({ url, name: `tombolo ${name}`, max: 20 });
  try {
    const { hstore, replicaRole } = await abilities(pool);
    const tables = new CapturedTables(pool);
    const captured = new CaptureCounts(pool);
    const log = new PostgresLog({ pool, tables, hstore, ticker: new Ticker(pool), captured });
    return {
      name,
      engine: "postgres",
      log,
      tables: new PostgresTableReader({ pool, tables, hstore }),
      target: new PostgresTarget({ name, pool, tables, hstore, replicaRole }),
      installation: createPostgresInstallation({ name, pool, captured }) satisfies Installation,
      async close() {
        await log.close();
        await pool.end();
      },
    };
  } catch (error) {
    await pool.end();
    throw postgresError(error);
  }
}

/** Where hstore is, and whether this role may act as a replica (superusers, and from Postgres 15 on whoever was granted it). */
async function abilities(pool: pg.Pool): Promise<{ hstore: string; replicaRole: boolean }> {
  const { rows } = await pool.query<{ hstore: string | null }>(
    "select n.nspname as hstore from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'hstore'",
  );
  const replicaRole = await pool.query("begin; set local session_replication_role = replica; rollback").then(
    () => true,
    () => false,
  );
  return { hstore: ident(rows[0]?.hstore ?? "tombolo"), replicaRole };
}
