import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import type { Finding, Step, WantedTable } from "../installation.ts";
import { transaction } from "./connection.ts";
import { readInstalled } from "./migrate.ts";
import { type Capture, makePlan, type PhasedPlan } from "./plan.ts";
import { postgresError } from "./postgres-error.ts";
import { SlotConsumer } from "./slot/consumer.ts";
import { slotState } from "./slot/slot-state.ts";
import { DUPLICATE_OBJECT, LOCK_NOT_AVAILABLE, QUERY_CANCELED } from "./sqlstate.ts";
import { verify } from "./verify.ts";

/**
 * Creating a trigger waits for the writers of its table, and whoever writes meanwhile waits behind it. So it gives up soon and tries again, a
 * little later each time: no writer is held up for longer than this.
 */
const LOCK_TIMEOUT_MS = 400;
const ATTEMPTS = 60;
/** A slot is made when every transaction that was open has ended. */
const SLOT_TIMEOUT_MS = 20_000;

/** Any two numbers, the same in every Tombolo: one installer at a time in a database. */
const INSTALLER_LOCK = "select pg_advisory_xact_lock(1953460578, 1)";

/** The migration that gave verify what it compares with. */
const DRIFT_VERSION = 3;

export interface Installing {
  readonly pool: pg.Pool;
  readonly capture: Capture;
  readonly wanted: readonly WantedTable[];
  readonly url: string;
  /** Quoted schema of the hstore extension. */
  readonly hstore: () => Promise<string>;
}

/** Does what the plan says, in the order that loses no change, whatever captured before. Answers what it did. */
export async function install(installing: Installing): Promise<PhasedPlan> {
  const { pool, capture, wanted } = installing;
  const outline = await transaction(pool, (client) => makePlan(client, wanted, capture));
  refuse(capture.node, outline.findings);
  if (outline.steps.length === 0) return outline;
  if (capture.by === "slot") return installSlot(installing);
  const leaving = outline.phases.last.length > 0 ? await drained(installing) : null;
  const plan = await patiently(pool, async (client) => {
    const current = await installFirst(client, installing);
    // the triggers hold back the writers until this commits: what they wrote before comes out of the slot now
    await leaving?.();
    await execute(client, current.phases.last);
    return current;
  });
  for (const { sql } of plan.phases.slot) await pool.query(sql);
  return plan;
}

async function installSlot(installing: Installing): Promise<PhasedPlan> {
  const { pool, capture, wanted } = installing;
  const plan = await patiently(pool, (client) => installFirst(client, installing));
  for (const step of plan.phases.slot) await makeSlot(pool, step);
  await patiently(pool, async (client) => {
    const { phases } = await makePlan(client, wanted, capture);
    await execute(client, phases.last);
  });
  return plan;
}

async function installFirst(client: pg.PoolClient, { capture, wanted }: Installing): Promise<PhasedPlan> {
  // made anew under the lock: another starter may have done it meanwhile
  const plan = await makePlan(client, wanted, capture);
  refuse(capture.node, plan.findings);
  // what is about to be mended may have let changes pass: that is recorded first
  const installed = await readInstalled(client);
  if (installed.version >= DRIFT_VERSION && installed.node) await verify(client);
  await execute(client, plan.phases.first);
  return plan;
}

/**
 * Brings the log up to date from the slot that is about to be left; answers how to do it once more, under the locks. Nothing of it where
 * there is no slot, or one that has been lost.
 */
async function drained({ pool, capture, url, hstore }: Installing): Promise<() => Promise<void>> {
  const { rows } = await pool.query<{ there: string }>("select to_regclass('tombolo.slot') is not null as there");
  const state = rows[0]?.there === "t" ? await slotState(pool) : null;
  if (state === null || state.state === "lost") return async () => undefined;
  const drain = async (): Promise<void> => {
    const consumer = new SlotConsumer({ url, name: capture.node, hstore: await hstore() });
    try {
      await consumer.complete();
    } finally {
      await consumer.close();
    }
  };
  await drain();
  return drain;
}

async function makeSlot(pool: pg.Pool, step: Step): Promise<void> {
  const client = await pool.connect();
  try {
    // the server waits for open transactions as for locks: ours would end that first, and not say what it waited for
    await client.query(`set statement_timeout = ${SLOT_TIMEOUT_MS}; set lock_timeout = 0`);
    for (const statement of step.sql.split("\n")) await client.query(statement);
  } catch (error) {
    const { code } = error as { code?: string };
    // another starter was faster
    if (code === DUPLICATE_OBJECT) return;
    if (code === QUERY_CANCELED) throw await blocked(pool, error);
    throw postgresError(error);
  } finally {
    await client.query("reset statement_timeout; reset lock_timeout").catch(() => undefined);
    client.release();
  }
}

async function blocked(pool: pg.Pool, cause: unknown): Promise<TomboloError> {
  const { rows } = await pool.query<{ open: string | null }>(
    `select string_agg(who, ', ' order by since) as open from (
       select format('pid %s of pg_stat_activity', pid) as who, xact_start as since from pg_stat_activity where backend_xid is not null
       union all select format('%L of pg_prepared_xacts', gid), prepared from pg_prepared_xacts) as transactions
      where since < clock_timestamp() - interval '${SLOT_TIMEOUT_MS} milliseconds'`,
  );
  return new TomboloError("the replication slot could not be made: transactions have been open for too long", {
    code: "SLOT_CREATE_BLOCKED",
    kind: "retry",
    hint: `End them, or wait, and run \`tombolo apply\` again: ${rows[0]?.open ?? "they have ended meanwhile"}.`,
    cause,
  });
}

export async function execute(client: pg.PoolClient, steps: readonly Step[]): Promise<void> {
  for (const { sql } of steps) await client.query(sql);
}

/** One transaction that never makes writers wait long. Throws `INSTALL_LOCKED` (retry) when no moment was found for it. */
export async function patiently<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
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

export function refuse(name: string, findings: readonly Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return;
  throw new TomboloError(`${name}: ${errors.map(({ message }) => message).join("; ")}`, {
    code: "PLAN_HAS_ERRORS",
    kind: "operator",
    hint: "Run `tombolo plan` and see to its errors first.",
  });
}
