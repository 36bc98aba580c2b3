import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { epoch } from "../../change/names.ts";
import type { NodeIdentity } from "../identity.ts";
import { clusterIdentity } from "./migrate.ts";
import { isServerError } from "./postgres-error.ts";
import { INVALID_SCHEMA_NAME, UNDEFINED_TABLE } from "./sqlstate.ts";

const ROUND_TRIPS = 4;

/**
 * Who the node is. Throws `NOT_INSTALLED` (operator) where Tombolo is not, and `DATABASE_CLONED` (operator) in a database that was made from
 * another one by dump and restore, as a template, or by pg_upgrade: it holds the positions of a life that goes on elsewhere. Also where schema tombolo
 * alone was restored: its positions speak for tables of another day (hazards H17).
 */
export async function identity(pool: pg.Pool): Promise<NodeIdentity> {
  const { epoch: own, system, database, restored } = await storedNode(pool);
  const [systemNow, databaseNow] = await clusterIdentity(pool);
  // a role that may not read the cluster's identifier still sees the database's
  const moved = systemNow !== "" && system !== "" && systemNow !== system;
  const copied = moved || database !== databaseNow;
  if (copied || restored === "t") {
    const what = copied
      ? "the database is a copy of the one that Tombolo was installed in"
      : "schema tombolo was restored from a copy, without the tables";
    throw new TomboloError(what, {
      code: "DATABASE_CLONED",
      kind: "operator",
      hint: "Run `tombolo nodes resync` for this node, or for the children of the hub: it then starts a new life, and is synchronised anew.",
    });
  }
  const { rows } = await pool.query<{ version: string }>("select current_setting('server_version') as version");
  const version = rows[0]?.version.split(" ")[0] ?? "";
  return { epoch: epoch(own), clockOffsetMs: await clockOffset(pool), version: `PostgreSQL ${version}` };
}

interface StoredNode {
  readonly epoch: string;
  readonly system: string;
  readonly database: string;
  readonly restored: string;
}

/** As JSON, because a database that an older version has left lacks the column. */
const SELECT = `
  select epoch, system_identifier as system, database_oid as database,
         coalesce((to_jsonb(n) ->> 'schema_oid')::oid <> 'tombolo'::regnamespace, false) as restored
    from tombolo.node n`;

async function storedNode(pool: pg.Pool): Promise<StoredNode> {
  const missing = (): TomboloError =>
    new TomboloError("Tombolo is not installed in this database", {
      code: "NOT_INSTALLED",
      kind: "operator",
      hint: "Run `tombolo plan`, then `tombolo apply`.",
    });
  try {
    const { rows } = await pool.query<StoredNode>(SELECT);
    if (rows[0] === undefined) throw missing();
    return rows[0];
  } catch (error) {
    if (isServerError(error) && (error.code === UNDEFINED_TABLE || error.code === INVALID_SCHEMA_NAME)) throw missing();
    throw error;
  }
}

/**
 * The server's clock minus ours, in whole ms, by the fastest of a few round trips on one connection. Clocks that agree to the millisecond,
 * which is all that ours tells, are the same clock: else changes of the same moment would be decided by the error of measuring.
 */
async function clockOffset(pool: pg.Pool): Promise<number> {
  const client = await pool.connect();
  try {
    let best = { took: Number.POSITIVE_INFINITY, offset: 0 };
    for (let trip = 0; trip < ROUND_TRIPS; trip++) {
      const sent = performance.now();
      const sentAt = Date.now() + 0.5;
      const { rows } = await client.query<{ ms: string }>("select extract(epoch from clock_timestamp()) * 1000 as ms");
      const took = performance.now() - sent;
      if (took < best.took) best = { took, offset: Number(rows[0]?.ms) - (sentAt + took / 2) };
    }
    return Math.abs(best.offset) < 1 ? 0 : Math.round(best.offset);
  } finally {
    client.release();
  }
}
