import type { TableName } from "../../change/names.ts";
import { columnKind } from "../../change/values/affinity.ts";
import { conflictFindings } from "../conflict-findings.ts";
import type { Finding, Step, WantedTable } from "../installation.ts";
import { captureTriggers, type Trigger } from "./capture.ts";
import { type CapturedTable, capturedTables, isInstalled } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { excludedFindings } from "./excluded.ts";
import { filterFindings } from "./filter-check.ts";
import { foreignKeysOf } from "./foreign-keys.ts";
import { quote } from "./identifier.ts";
import { rowidFindings } from "./rowid-ids.ts";
import { type LocalTable, localKind, readTable, sha256, tableShape } from "./shape.ts";

/** What is to be done about one table. */
export interface TableChange {
  readonly action: "create" | "change" | "drop";
  readonly wanted: WantedTable | null;
  readonly local: LocalTable | null;
  readonly captured: CapturedTable | null;
  readonly id: number;
  /** To be dropped first, by name. */
  readonly stale: readonly string[];
  readonly triggers: readonly Trigger[];
  readonly fingerprint: string;
}

export interface CapturePlan {
  readonly changes: readonly TableChange[];
  readonly findings: readonly Finding[];
}

export function planCapture(connection: Connection, wanted: readonly WantedTable[]): CapturePlan {
  const captured = capturedTables(connection);
  const findings: Finding[] = [];
  const changes: TableChange[] = [];
  let nextId = isInstalled(connection) ? Number(connection.prepare("select coalesce(max(id), 0) + 1 from tombolo_shape").pluck().get()) : 1;
  const wantedNames = new Set(wanted.map(({ table }) => table));
  for (const table of captured.values()) if (!wantedNames.has(table.name)) changes.push(dropChange(connection, table));
  for (const want of wanted) {
    const problem = problemOf(connection, want);
    if (problem !== null) {
      findings.push(problem);
      continue;
    }
    const local = readTable(connection, want.local, want.exclude) as LocalTable;
    const deciding = conflictFindings(want, local.columns, local.key);
    findings.push(...deciding);
    if (deciding.length > 0) continue;
    const before = captured.get(want.table) ?? null;
    const excluded = excludedFindings(connection, { want, local, before });
    findings.push(...excluded);
    if (excluded.some(({ severity }) => severity === "error")) continue;
    const sameShape = before !== null && before.local === local.name && shapeHash(before) === shapeHash(local);
    const id = sameShape ? before.id : nextId++;
    const triggers = captureTriggers(id, local);
    const change = {
      wanted: want,
      local,
      captured: before,
      id,
      stale: [
        ...(before === null || before.local === local.name ? [] : ourTriggers(connection, before.local)),
        ...ourTriggers(connection, local.name),
      ].map(({ name }) => name),
      triggers,
      fingerprint: fingerprint(local, triggers),
    };
    if (before === null) changes.push({ action: "create", ...change });
    else if (!isCaptured(connection, change, before) || !saysTheSame(before, want)) {
      changes.push({ action: "change", ...change });
    }
    findings.push(...warnings(want, local), ...rowidFindings(want, local), ...filterFindings(connection, want));
  }
  return { changes, findings };
}

const saysTheSame = (captured: CapturedTable, want: WantedTable): boolean =>
  captured.channel === want.channel &&
  captured.wholeImages === want.wholeImages &&
  JSON.stringify(captured.excluded) === JSON.stringify(want.exclude);

/** Whether the triggers in the database are the ones that the table needs now, and the youngest of the table. */
export function isCaptured(
  connection: Connection,
  needed: { readonly id: number; readonly fingerprint: string; readonly triggers: readonly Trigger[]; readonly local: LocalTable },
  captured: CapturedTable,
): boolean {
  if (needed.id !== captured.id || needed.fingerprint !== captured.fingerprint) return false;
  const there = new Map(ourTriggers(connection, needed.local.name).map(({ name, sql }) => [name, sql]));
  const asWritten = needed.triggers.every(({ name, sql }) => there.get(name) === storedSql(sql));
  return asWritten && there.size === needed.triggers.length && !hasYoungerTriggers(connection, needed.local.name);
}

/** SQLite keeps the text as it was given, with its keywords before the name in capitals. */
export const storedSql = (sql: string): string => sql.replace(/^create trigger/, "CREATE TRIGGER");

const isOurs = "(name like 'tombolo\\_capture\\_%' escape '\\')";

export const ourTriggers = (connection: Connection, local: string): { name: string; sql: string }[] =>
  connection
    .prepare(`select name, sql from sqlite_schema where type = 'trigger' and tbl_name = ? collate nocase and ${isOurs} order by rowid`)
    .all(local) as {
    name: string;
    sql: string;
  }[];

/** The application's triggers on a table, oldest first. */
export const applicationTriggers = (connection: Connection, local: string): { name: string; sql: string }[] =>
  connection
    .prepare(`select name, sql from sqlite_schema where type = 'trigger' and tbl_name = ? collate nocase and not ${isOurs} order by rowid`)
    .all(local) as { name: string; sql: string }[];

/** Whether an application's trigger is younger than ours, so that it runs before them. */
export function hasYoungerTriggers(connection: Connection, local: string): boolean {
  const sql = `select coalesce(max(rowid) filter (where not ${isOurs}) > min(rowid) filter (where ${isOurs}), 0)
    from sqlite_schema where type = 'trigger' and tbl_name = ? collate nocase`;
  return connection.prepare(sql).pluck().get(local) === 1n;
}

export const shapeHash = (table: Pick<LocalTable, "columns" | "key">): string =>
  tableShape("" as TableName, "" as WantedTable["channel"], table.columns, table.key).hash;

export const fingerprint = (local: LocalTable, triggers: readonly Trigger[]): string =>
  sha256(JSON.stringify([shapeHash(local), local.strict, triggers.map(({ sql }) => sql)]));

function dropChange(connection: Connection, captured: CapturedTable): TableChange {
  return {
    action: "drop",
    wanted: null,
    local: null,
    captured,
    id: captured.id,
    stale: ourTriggers(connection, captured.local).map(({ name }) => name),
    triggers: [],
    fingerprint: "",
  };
}

/** What keeps a table from being captured. */
function problemOf(connection: Connection, want: WantedTable): Finding | null {
  const error = (code: string, message: string, hint: string): Finding => ({ severity: "error", code, table: want.table, message, hint });
  if (/^(sqlite|tombolo)_/i.test(want.local))
    return error("TABLE_RESERVED", `${want.local} is not a table of an application`, "leave it out");
  const kind = localKind(connection, want.local);
  switch (kind) {
    case "missing":
      return error("TABLE_MISSING", `there is no table ${want.local}`, "create it, or correct `sqlite_name` in the topology");
    case "view":
      return error("TABLE_IS_VIEW", `${want.local} is a view`, "replicate the tables behind it");
    case "virtual":
    case "shadow":
      return error("TABLE_IS_VIRTUAL", `${want.local} is a ${kind} table`, "replicate the table that it indexes");
    case "table":
      break;
  }
  const table = readTable(connection, want.local);
  if (table?.keyProblem === "none") {
    return error(
      "TABLE_WITHOUT_KEY",
      `${want.local} has no key but its rowid, which is no identity: VACUUM changes it`,
      "give it a primary key, or a unique index over columns that are not null",
    );
  }
  if (table?.keyProblem === "nullable") {
    return error(
      "KEY_NULLABLE",
      `the primary key of ${want.local} may hold NULL, so that it does not name a row`,
      "declare its columns NOT NULL, or make the table STRICT or WITHOUT ROWID",
    );
  }
  const mixed = table === null ? null : mixedReference(connection, table);
  if (mixed !== null) {
    return error(
      "REFERENCE_TYPE",
      `${mixed} of ${want.local} refers to the table itself and has another type: SQLite then tells triggers another key than the row's`,
      "declare the column with the type of what it refers to",
    );
  }
  return null;
}

/**
 * A column that refers to its own table and has another affinity than what it refers to; null where there is none. Where foreign keys are on, SQLite (3.53)
 * looks for referring rows with the key in that affinity, and AFTER triggers see it so: a row of the key '5' is told to be deleted as 5.
 */
function mixedReference(connection: Connection, { name, strict }: LocalTable): string | null {
  const types = new Map(
    (connection.prepare("select name, type from pragma_table_info(?)").raw().all(name) as [string, string][]).map(([column, type]) => [
      column.toLowerCase(),
      columnKind(type, strict),
    ]),
  );
  const kindOf = (column: string) => types.get(column.toLowerCase());
  for (const { parent, columns, to } of foreignKeysOf(connection, name)) {
    if (parent !== name.toLowerCase()) continue;
    const mixed = columns.find((column, at) => kindOf(column) !== kindOf(to[at] ?? ""));
    if (mixed !== undefined) return mixed;
  }
  return null;
}

function warnings(want: WantedTable, local: LocalTable): Finding[] {
  if (local.generated.length === 0) return [];
  const message = `generated columns do not travel: ${local.generated.join(", ")}`;
  return [{ severity: "ok", code: "GENERATED_COLUMNS", table: want.table, message }];
}

export function stepsOf(change: TableChange): Step[] {
  const table = change.local?.name ?? change.captured?.local ?? "";
  const drops = change.stale.map((name): Step => ({ action: "drop", object: `trigger ${name} on ${table}`, sql: dropTrigger(name) }));
  const creates = change.triggers.map(
    ({ name, sql }): Step => ({
      action: change.action === "create" ? "create" : "change",
      object: `trigger ${name} on ${table}`,
      sql: `${sql};`,
    }),
  );
  return [...drops, ...creates];
}

export const dropTrigger = (name: string): string => `drop trigger if exists ${quote(name)};`;
