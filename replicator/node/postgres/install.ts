import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { channelName, tableName } from "../../change/names.ts";
import type { Finding, Installation, Plan, WantedTable } from "../installation.ts";
import { CaptureCounts } from "./capture-counts.ts";
import { transaction } from "./connection.ts";
import { examine } from "./examine.ts";
import { identity } from "./identity.ts";
import { readInstalled } from "./migrate.ts";
import { makePlan } from "./plan.ts";
import { postgresError } from "./postgres-error.ts";
import { allTables, shapeOf } from "./shape.ts";
import { LOCK_NOT_AVAILABLE } from "./sqlstate.ts";
import { notePeers, setPaused, status } from "./status.ts";
import { planUninstall } from "./uninstall.ts";
import { verify } from "./verify.ts";

/**
 * Creating a trigger waits for the writers of its table, and whoever writes meanwhile waits behind it. So it gives up soon and tries again, a
 * little later each time: no writer is held up for longer than this.
 */
const LOCK_TIMEOUT_MS = 400;
const ATTEMPTS = 60;

/** Any two numbers, the same in every Tombolo: one installer at a time in a database. */
const INSTALLER_LOCK = "select pg_advisory_xact_lock(1953460578, 1)";

export interface PostgresInstallationOptions {
  /** The node's name, for messages. */
  readonly name?: string;
  readonly pool: pg.Pool;
  /** Shared with the log, which counts before it purges. */
  readonly captured?: CaptureCounts;
}

export function createPostgresInstallation(options: PostgresInstallationOptions): Installation {
  const { pool, name = "the database", captured = new CaptureCounts(pool) } = options;
  return {
    // read only, so that a plan can't change anything
    plan: (wanted) => transaction(pool, (client) => makePlan(client, wanted), "begin isolation level repeatable read read only"),
    async apply(wanted) {
      const outline = await transaction(pool, (client) => makePlan(client, wanted));
      refuse(name, outline.findings);
      if (outline.steps.length === 0) return outline;
      return patiently(pool, (client) => install(client, name, wanted));
    },
    planUninstall: () => transaction(pool, planUninstall, "begin isolation level repeatable read read only"),
    async uninstall() {
      await patiently(pool, async (client) => {
        const plan = await planUninstall(client);
        refuse(name, plan.findings);
        await execute(client, plan);
      });
    },
    verify: () => transaction(pool, verify),
    inspect: () =>
      transaction(pool, async (client) => {
        const relations = await allTables(client);
        return relations.map((relation) => shapeOf(relation, tableName(`${relation.schema}.${relation.name}`), channelName("")));
      }),
    identity: () => answered(identity(pool)),
    examine: () => transaction(pool, examine),
    status: () => answered(status(pool)),
    captured: () => answered(captured.count()),
    notePeers: (notes) => answered(notePeers(pool, notes)),
    setPaused: (peer, paused) => answered(setPaused(pool, peer, paused)),
  };
}

async function install(client: pg.PoolClient, name: string, wanted: readonly WantedTable[]): Promise<Plan> {
  // made anew under the lock: another starter may have done it meanwhile
  const plan = await makePlan(client, wanted);
  refuse(name, plan.findings);
  // what is about to be mended may have let changes pass: that is recorded first
  const installed = await readInstalled(client);
  if (installed.version >= DRIFT_VERSION && installed.node) await verify(client);
  await execute(client, plan);
  return plan;
}

/** The migration that gave verify what it compares with. */
const DRIFT_VERSION = 3;

async function execute(client: pg.PoolClient, plan: Plan): Promise<void> {
  for (const { sql } of plan.steps) await client.query(sql);
}

/** One transaction that never makes writers wait long. Throws `INSTALL_LOCKED` (retry) when no moment was found for it. */
async function patiently<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction(pool, async (client) => {
        await client.query(INSTALLER_LOCK);
        await client.query(`set local lock_timeout = '${LOCK_TIMEOUT_MS}ms'`);
        return await work(client);
      });
    } catch (error) {
      if (!(error instanceof TomboloError) || error.code !== `POSTGRES_${LOCK_NOT_AVAILABLE}`) throw error;
      if (attempt < ATTEMPTS) await sleep(Math.min(50 * attempt, 1_000));
      else {
        throw new TomboloError("a table is locked by long transactions: no moment was found to install triggers", {
          code: "INSTALL_LOCKED",
          kind: "retry",
          hint: "Find who holds the lock in pg_locks, or try again at a quieter time.",
          cause: error,
        });
      }
    }
  }
}

function refuse(name: string, findings: readonly Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return;
  throw new TomboloError(`${name}: ${errors.map(({ message }) => message).join("; ")}`, {
    code: "PLAN_HAS_ERRORS",
    kind: "operator",
    hint: "Run `tombolo plan` and see to its errors first.",
  });
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw postgresError(error);
  }
}
