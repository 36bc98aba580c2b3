import { channelName, type NodeName, tableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { holderName } from "../full-sync-runs.ts";
import type { Installation } from "../installation.ts";
import type { Node } from "../node.ts";
import { SqliteTarget } from "./apply.ts";
import { SqliteAuditTrail } from "./audit-trail.ts";
import { backUp } from "./backup.ts";
import { CaptureCounts } from "./capture-counts.ts";
import type { Clock } from "./clock.ts";
import { SqliteCompareHolds } from "./compare-holds.ts";
import { SqliteConflictDesk } from "./conflict-desk.ts";
import { DatabaseFile } from "./connection.ts";
import { filler } from "./copy-fill.ts";
import { SqliteFullSyncRuns } from "./copy-runs.ts";
import { openCopy } from "./copy-source.ts";
import { openStage } from "./copy-stage.ts";
import { SqliteDigests } from "./digest.ts";
import { install, planInstall, planUninstall, uninstall } from "./install.ts";
import { SqliteLog } from "./log.ts";
import { SqliteMediumDesk } from "./medium-desk.ts";
import { SqliteNotificationDesk } from "./notification-desk.ts";
import { SqliteParkedDesk } from "./parked-desk.ts";
import { SqliteReconcileDesk } from "./reconcile-desk.ts";
import { SqliteRejoin } from "./rejoin.ts";
import { SqliteRepairs } from "./repairs.ts";
import { SqliteScopes } from "./scopes.ts";
import { SqliteSentPackets } from "./sent-packets.ts";
import { readTable, tableShape } from "./shape.ts";
import { SqliteTableReader } from "./snapshot.ts";
import { examine, identity, notePeers, setPaused, status } from "./status.ts";
import { SqliteTableColumns } from "./table-columns.ts";
import { SqliteTokenDesk } from "./token-desk.ts";
import { Verifier } from "./verify.ts";

export interface SqliteNodeOptions {
  readonly name: NodeName;
  /** Of a database that exists: the application's. */
  readonly path: string;
  readonly clock?: Clock;
}

/**
 * Opens a SQLite database as a node. Throws `DATABASE_MISSING` or `DATABASE_UNREACHABLE` (connect), `DATABASE_DAMAGED` (operator),
 * `SQLITE_TOO_OLD` (fatal).
 */
export async function openSqliteNode(options: SqliteNodeOptions): Promise<Node> {
  const { name, path, clock = Date.now } = options;
  const file = new DatabaseFile({ node: name, path });
  const captured = new CaptureCounts(file);
  const log = new SqliteLog({ file, clock, captured });
  const tables = new SqliteTableReader({ file, clock });
  const digests = new SqliteDigests({ file });
  const target = new SqliteTarget({ file, clock });
  return {
    name,
    engine: "sqlite",
    log,
    tables,
    digests,
    target,
    conflicts: new SqliteConflictDesk({ file, clock }),
    scopes: new SqliteScopes({ file, clock }),
    sent: new SqliteSentPackets({ file, clock }),
    parked: new SqliteParkedDesk({ file, clock }),
    tokens: new SqliteTokenDesk({ file, clock }),
    audit: new SqliteAuditTrail({ file, clock }),
    notifications: new SqliteNotificationDesk({ file }),
    media: new SqliteMediumDesk({ file }),
    reconciles: new SqliteReconcileDesk({ file, clock }),
    compareHolds: new SqliteCompareHolds({ file, clock }),
    repairs: new SqliteRepairs({ file, clock }),
    columns: new SqliteTableColumns(file),
    copies: {
      runs: new SqliteFullSyncRuns({ file, clock }),
      open: (copied) => openCopy({ file, clock, copied }),
      filler: filler({ file, target, holder: holderName() }),
      stage: (run, copied, holder = holderName()) => openStage({ file, target, holder }, run, copied),
      backUp: () => backUp(file, clock),
    },
    rejoin: new SqliteRejoin({ file }),
    installation: installation(file, clock, captured),
    isReplaced: () => file.isReplaced,
    async close() {
      log.close();
      tables.close();
      digests.close();
      await file.close();
    },
  };
}

function installation(file: DatabaseFile, clock: Clock, captured: CaptureCounts): Installation {
  const verifier = new Verifier(file);
  const statusNow = remembered(file, () => status(file));
  const capturedNow = remembered(file, () => captured.count());
  return {
    plan: async (wanted) => file.read((connection) => planInstall(connection, file.node, wanted)),
    apply: (wanted) => install(file, wanted, clock),
    planUninstall: async () => file.read(planUninstall),
    uninstall: () => uninstall(file),
    verify: () => verifier.verify(),
    inspect: async () => inspect(file),
    identity: async () => identity(file),
    examine: async () => examine(file),
    status: async () => statusNow(),
    captured: async () => capturedNow(),
    notePeers: (notes) => notePeers(file, notes),
    setPaused: (peer, paused) => setPaused(file, peer, paused),
  };
}

/** Looks anew only when something was committed to the file since: many files that nobody writes to cost next to nothing. */
function remembered<T>(file: DatabaseFile, look: () => T): () => T {
  let last: { readonly version: bigint; readonly found: T } | undefined;
  return () => {
    const { version } = file;
    if (last?.version !== version) last = { version, found: look() };
    return last.found;
  };
}

/** Every table of the application, under its local name. */
function inspect(file: DatabaseFile): readonly TableShape[] {
  return file.read((connection) => {
    const names = connection
      .prepare(
        `select name from pragma_table_list where schema = 'main' and type = 'table'
          and name not like 'sqlite\\_%' escape '\\' and name not like 'tombolo\\_%' escape '\\' order by name`,
      )
      .pluck()
      .all() as string[];
    return names.flatMap((name) => {
      const table = readTable(connection, name);
      return table === null ? [] : [tableShape(tableName(name), channelName(""), table.columns, table.key)];
    });
  });
}
