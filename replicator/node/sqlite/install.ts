import { randomUUID } from "node:crypto";
import { TomboloError } from "../../change/error.ts";
import type { NodeName } from "../../change/names.ts";
import type { Plan, Step, WantedTable } from "../installation.ts";
import { dropTrigger, planCapture, stepsOf, type TableChange } from "./capture-plan.ts";
import { isInstalled } from "./captured-tables.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { removeStage } from "./copy-runs.ts";
import { travelAgain } from "./excluded.ts";
import { quote } from "./identifier.ts";
import { migrate, pendingMigrations } from "./migrations.ts";
import type { LocalTable } from "./shape.ts";

const journalMode = (connection: Connection): string => connection.pragma("journal_mode", { simple: true }) as string;

/** What `install` would do, and what keeps it from doing it. */
export function planInstall(connection: Connection, node: NodeName, wanted: readonly WantedTable[]): Plan {
  const steps: Step[] = [];
  if (journalMode(connection) !== "wal") {
    steps.push({
      action: "change",
      object: "journal mode (delete to wal: readers and the writer no longer wait for each other)",
      sql: "pragma journal_mode = wal;",
    });
  }
  for (const { name, version, sql } of pendingMigrations(connection, node)) {
    steps.push({ action: "create", object: `tombolo_ tables (migration ${version}, ${name})`, sql });
  }
  const { changes, findings } = planCapture(connection, wanted);
  return { steps: [...steps, ...changes.flatMap(stepsOf)], findings };
}

/** Does what the plan says in one transaction, whose write lock keeps concurrent callers apart; what is there already stays. */
export async function install(file: DatabaseFile, wanted: readonly WantedTable[], clock: Clock): Promise<Plan> {
  const plan = file.read((connection) => planInstall(connection, file.node, wanted));
  const errors = plan.findings.filter(({ severity }) => severity === "error");
  if (errors.length > 0) {
    throw new TomboloError(`${file.node}: ${errors.map(({ message }) => message).join("; ")}`, {
      code: "PLAN_HAS_ERRORS",
      kind: "operator",
      hint: "run `tombolo plan` and see to its errors first",
    });
  }
  const before = await file.exclusive(async (connection) => {
    const mode = journalMode(connection);
    // outside a transaction; an application that reads at this moment keeps it from changing, and the next apply tries again
    if (mode !== "wal") connection.pragma("journal_mode = wal");
    return mode;
  });
  await file.write((connection) => {
    const now = isoTime(clock());
    migrate(connection, file.node, now);
    connection
      .prepare("insert or ignore into tombolo_node (singleton, epoch, journal_mode, installed_at) values (1, ?, ?, ?)")
      .run(randomUUID(), before, now);
    for (const change of planCapture(connection, wanted).changes) carryOut(connection, change, now);
  });
  return plan;
}

function carryOut(connection: Connection, change: TableChange, now: string): void {
  for (const name of change.stale) connection.exec(dropTrigger(name));
  const { wanted, local } = change;
  if (wanted === null || local === null) {
    connection.prepare("delete from tombolo_captured_table where id = ?").run(change.id);
    return;
  }
  // a hole that was found stays on record until the table has been compared
  const reason = holeIn(change, local);
  const state = reason === null ? "live" : "must_compare";
  connection.prepare("delete from tombolo_captured_table where table_name = ?").run(wanted.table);
  connection
    .prepare("insert or replace into tombolo_shape (id, table_name, columns, key_columns) values (?, ?, ?, ?)")
    .run(change.id, wanted.table, JSON.stringify(local.columns), JSON.stringify(local.key));
  connection
    .prepare(
      `insert into tombolo_captured_table (id, table_name, channel, local_table, whole_images, excluded, fingerprint, state, reason, installed_at)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      change.id,
      wanted.table,
      wanted.channel,
      local.name,
      wanted.wholeImages ? 1n : 0n,
      JSON.stringify(wanted.exclude),
      change.fingerprint,
      state,
      reason,
      now,
    );
  for (const { sql } of change.triggers) connection.exec(sql);
}

/** Why the table has to be compared; null when it has not. */
function holeIn(change: TableChange, local: LocalTable): string | null {
  const { captured } = change;
  if (captured === null) return null;
  if (captured.state === "must_compare" || wasBroken(change)) return captured.reason ?? "its triggers were not in place for a time";
  const back = travelAgain(captured, local);
  return back.length === 0 ? null : `${back.join(", ")} stayed at home before`;
}

/** Whether triggers were missing, so that changes may have gone unseen; an older generation of triggers that is all there has seen them. */
function wasBroken({ captured, stale, triggers, id }: TableChange): boolean {
  return captured !== null && (stale.length === 0 || (captured.id === id && stale.length < triggers.length));
}

/** Everything that `uninstall` removes. */
export function planUninstall(connection: Connection): Plan {
  const objects = ourObjects(connection);
  return {
    steps: objects.map(({ type, name }) => ({ action: "drop", object: `${type} ${name}`, sql: `drop ${type} if exists ${quote(name)};` })),
    findings: [],
  };
}

/** Removes every trace, in one transaction; the journal mode goes back to what it was, unless others have the file open. */
export async function uninstall(file: DatabaseFile): Promise<void> {
  const before = await file.write((connection) => {
    const mode = isInstalled(connection)
      ? (connection.prepare("select journal_mode from tombolo_node").pluck().get() as string | undefined)
      : undefined;
    connection.pragma("defer_foreign_keys = on");
    for (const { type, name } of ourObjects(connection)) connection.exec(`drop ${type} if exists ${quote(name)}`);
    return mode;
  });
  removeStage(file.path);
  if (before === undefined || before === "wal") return;
  await file.exclusive(async (connection) => {
    try {
      connection.pragma(`journal_mode = ${before === "truncate" || before === "persist" ? before : "delete"}`);
    } catch {
      // somebody has the file open: WAL stays, which every SQLite since 3.7 reads
    }
  });
}

/** Triggers before tables, tables that refer to others before those. */
function ourObjects(connection: Connection): { type: "trigger" | "table"; name: string }[] {
  return connection
    .prepare(
      `select type, name from sqlite_schema where name like 'tombolo\\_%' escape '\\' and type in ('trigger', 'table')
        order by type = 'table', rowid desc`,
    )
    .all() as { type: "trigger" | "table"; name: string }[];
}
