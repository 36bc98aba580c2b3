import type pg from "pg";
import type { NodeName } from "../../change/names.ts";
import { holderName } from "../full-sync-runs.ts";
import type { Installation } from "../installation.ts";
import type { Node } from "../node.ts";
import { PostgresTarget } from "./apply.ts";
import { PostgresAuditTrail } from "./audit-trail.ts";
import { CaptureCounts } from "./capture-counts.ts";
import { CapturedTables } from "./captured-tables.ts";
import { PostgresCompareHolds } from "./compare-holds.ts";
import { PostgresConflictDesk } from "./conflict-desk.ts";
import { createPool } from "./connection.ts";
import { filler } from "./copy-fill.ts";
import { PostgresFullSyncRuns } from "./copy-runs.ts";
import { openCopy } from "./copy-source.ts";
import { openStage } from "./copy-stage.ts";
import { PostgresDigests } from "./digest.ts";
import { createPostgresInstallation } from "./install.ts";
import { PostgresLog } from "./log.ts";
import { PostgresMediumDesk } from "./medium-desk.ts";
import { hstoreSchema } from "./migrate.ts";
import { PostgresNotificationDesk } from "./notification-desk.ts";
import { PostgresParkedDesk } from "./parked-desk.ts";
import { postgresError } from "./postgres-error.ts";
import { PostgresReconcileDesk } from "./reconcile-desk.ts";
import { PostgresRejoin } from "./rejoin.ts";
import { PostgresRepairs } from "./repairs.ts";
import { PostgresScopes } from "./scopes.ts";
import { PostgresSentPackets } from "./sent-packets.ts";
import { SlotConsumer } from "./slot/consumer.ts";
import { GateElsewhere } from "./slot/elsewhere.ts";
import { ALWAYS_COMPLETE } from "./slot/log-gate.ts";
import { PostgresTableReader } from "./snapshot.ts";
import { PostgresTableColumns } from "./table-columns.ts";
import { Ticker } from "./ticker.ts";
import { PostgresTokenDesk } from "./token-desk.ts";

export interface PostgresNodeOptions {
  readonly name: NodeName;
  /** A connection URL; an `embedded:` one must have been started, and turned into a real one, before. */
  readonly url: string;
  /** `trigger` by default. */
  readonly capture?: "trigger" | "slot";
}

/** Opens a Postgres database as a node. Connects once, so that a database that cannot be reached is told at once. */
export async function openPostgresNode(options: PostgresNodeOptions): Promise<Node> {
  const { name, url, capture = "trigger" } = options;
  const pool = createPool({ url, name: `tombolo ${name}`, max: 20 });
  try {
    const { hstore, replicaRole } = await abilities(pool);
    const tables = new CapturedTables(pool);
    const consumer = capture === "slot" ? new SlotConsumer({ url, name, hstore }) : null;
    const gate = consumer ?? ALWAYS_COMPLETE;
    // for what a person may run beside the process that reads the slot
    const beside = consumer === null ? gate : new GateElsewhere({ pool, consumer });
    const captured = consumer === null ? new CaptureCounts(pool) : { count: async () => consumer.counts() };
    const log = new PostgresLog({ pool, tables, hstore, ticker: new Ticker({ pool, gate }), captured, consumer, beside });
    const target = new PostgresTarget({ name, pool, tables, hstore, replicaRole, gate: beside });
    const access = { pool, tables, target, hstore, gate: beside };
    let closing: Promise<void> | undefined;
    return {
      name,
      engine: "postgres",
      log,
      tables: new PostgresTableReader({ pool, tables, hstore, gate }),
      digests: new PostgresDigests({ pool, tables, hstore, gate: beside }),
      target,
      conflicts: new PostgresConflictDesk({ name, pool, hstore, gate: beside }),
      scopes: new PostgresScopes({ pool, tables }),
      sent: new PostgresSentPackets(pool),
      parked: new PostgresParkedDesk({ name, pool, tables, hstore, gate: beside }),
      tokens: new PostgresTokenDesk({ pool }),
      audit: new PostgresAuditTrail({ pool }),
      notifications: new PostgresNotificationDesk({ pool }),
      media: new PostgresMediumDesk({ pool }),
      reconciles: new PostgresReconcileDesk({ pool }),
      compareHolds: new PostgresCompareHolds({ pool }),
      repairs: new PostgresRepairs({ pool, tables, hstore, gate: beside }),
      columns: new PostgresTableColumns({ pool, node: name }),
      copies: {
        runs: new PostgresFullSyncRuns({ pool, node: name }),
        open: (copied) => openCopy({ pool, tables, gate: beside, hstore, copied }),
        filler: filler({ ...access, holder: holderName() }),
        stage: (run, copied, holder = holderName()) => openStage({ ...access, holder }, run, copied),
        backUp: async () => null,
      },
      rejoin: new PostgresRejoin({ pool }),
      installation: createPostgresInstallation({
        name,
        pool,
        url,
        capture,
        captured,
        installed: () => tables.forget(),
      }) satisfies Installation,
      // each connection is made by its address
      isReplaced: () => false,
      close() {
        closing ??= log.close().finally(() => pool.end());
        return closing;
      },
    };
  } catch (error) {
    await pool.end();
    throw postgresError(error);
  }
}

/** Where hstore is, and whether this role may act as a replica (superusers, and from Postgres 15 on whoever was granted it). */
async function abilities(pool: pg.Pool): Promise<{ hstore: string; replicaRole: boolean }> {
  const hstore = await hstoreSchema(pool);
  const replicaRole = await pool.query("begin; set local session_replication_role = replica; rollback").then(
    () => true,
    () => false,
  );
  return { hstore, replicaRole };
}
