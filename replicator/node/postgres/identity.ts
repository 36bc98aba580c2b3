import type pg from "pg";
import { type ClockReading, measuredOffset } from "../../change/clock.ts";
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

/** The server's clock minus ours, in whole ms, by a few round trips on one connection. */
async function clockOffset(pool: pg.Pool): Promise<number> {
  const client = await pool.connect();
  try {
    const readings: ClockReading[] = [];
    while (readings.length < ROUND_TRIPS) {
      const asked = performance.now();
      const askedAtMs = Date.now();
      const { rows } = await client.query<{ ms: string }>("select extract(epoch from clock_timestamp()) * 1000 as ms");
      readings.push({ askedAtMs, answeredMs: Number(rows[0]?.ms), tookMs: performance.now() - asked });
    }
    return measuredOffset(readings);
  } finally {
    client.release();
  }
}
