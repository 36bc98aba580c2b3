import type pg from "pg";
import { channelName, tableName } from "../../change/names.ts";
import type { CapturedCounts, Installation } from "../installation.ts";
import { CaptureCounts } from "./capture-counts.ts";
import { READING, transaction } from "./connection.ts";
import { examine } from "./examine.ts";
import { filterFindings } from "./filter-check.ts";
import { identity } from "./identity.ts";
import { execute, install, patiently, refuse } from "./install-steps.ts";
import { hstoreSchema } from "./migrate.ts";
import { type Capture, makePlan } from "./plan.ts";
import { postgresError } from "./postgres-error.ts";
import { allTables, shapeOf } from "./shape.ts";
import { notePeers, setPaused, status } from "./status.ts";
import { unlessUnchanged } from "./unchanged.ts";
import { planUninstall } from "./uninstall.ts";
import { verify } from "./verify.ts";

export interface PostgresInstallationOptions {
  /** The node's name, for messages. */
  readonly name?: string;
  readonly pool: pg.Pool;
  /** Triggers by default; a slot needs the node's name and URL. */
  readonly capture?: Capture["by"];
  /** Of the pool's connections. */
  readonly url?: string;
  /** Shared with the log, which counts before it purges. */
  readonly captured?: { count(): Promise<CapturedCounts> };
  /** Called when something was installed. */
  readonly installed?: () => void;
}

export function createPostgresInstallation(options: PostgresInstallationOptions): Installation {
  const { pool, name = "the database", captured = new CaptureCounts(pool), installed, url = "" } = options;
  const capture: Capture = { node: name, by: options.capture ?? "trigger" };
  // how far a slot is, no commit tells
  const remembered = <T>(look: () => Promise<T>): (() => Promise<T>) => (capture.by === "slot" ? look : unlessUnchanged(pool, look));
  const statusNow = remembered(() => status(pool));
  const capturedNow = remembered(() => captured.count());
  const verified = remembered(() => transaction(pool, verify));
  return {
    async plan(wanted) {
      // read only, so that a plan can't change anything
      const plan = await transaction(pool, (client) => makePlan(client, wanted, capture), READING);
      return { ...plan, findings: [...plan.findings, ...(await filterFindings(pool, wanted))] };
    },
    async apply(wanted) {
      refuse(name, await filterFindings(pool, wanted));
      const plan = await install({ pool, capture, wanted, url, hstore: () => hstoreSchema(pool) });
      if (plan.steps.length > 0) installed?.();
      return plan;
    },
    planUninstall: () => transaction(pool, planUninstall, READING),
    async uninstall() {
      await patiently(pool, async (client) => {
        const plan = await planUninstall(client);
        refuse(name, plan.findings);
        await execute(client, plan.steps);
      });
    },
    verify: () => answered(verified()),
    inspect: () =>
      transaction(pool, async (client) => {
        const relations = await allTables(client);
        return relations.map((relation) => shapeOf(relation, tableName(`${relation.schema}.${relation.name}`), channelName("")));
      }),
    identity: () => answered(identity(pool)),
    examine: () => transaction(pool, examine),
    status: () => answered(statusNow()),
    captured: () => answered(capturedNow()),
    notePeers: (notes) => answered(notePeers(pool, notes)),
    setPaused: (peer, paused) => answered(setPaused(pool, peer, paused)),
  };
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw postgresError(error);
  }
}
