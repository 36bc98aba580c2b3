import { TomboloError } from "../../change/error.ts";
import type { Row, Value } from "../../change/value.ts";
import {
  AUDIT_WHAT,
  auditDetails,
  decidedRow,
  decisionReason,
  type ReadDecision,
  requireKey,
  resolutionOf,
  sameDecision,
  settableColumns,
} from "../conflict-decision.ts";
import type { ConflictRecord, DecidedBy, Decision } from "../conflict-desk.ts";
import { conflictUnknown, decidedMeanwhile, rowChanged, rowRefused } from "../conflict-errors.ts";
import { type CapturedTable, capturedTable } from "./captured-tables.ts";
import { readRecord, storeDecision } from "./conflict-records.ts";
import { changedSince, valueOfText } from "./conflict-row.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { misfitOf } from "./misfit.ts";
import { putRefresh } from "./refresh.ts";
import { isRowError } from "./row-error.ts";
import { type Bindable, findRow, rowOf, stored } from "./rows.ts";
import { readTable } from "./shape.ts";
import { bringTo } from "./write-row.ts";

/** The row of a conflict as this database has it. */
interface OwnRow {
  readonly table: CapturedTable & { readonly strict: boolean };
  readonly key: readonly Bindable[];
  /** Null when there is none. */
  readonly now: Row | null;
}

/** Throws `TABLE_NOT_CAPTURED`, `TABLE_MISSING` or `COLUMN_MISSING` (operator) where nothing can be said of the row. */
export function ownRow(connection: Connection, file: DatabaseFile, record: ConflictRecord): OwnRow {
  const table = capturedTable(connection, record.table, file.node);
  const local = readTable(connection, table.local);
  const misfit = misfitOf(local, table);
  if (misfit !== null) throw misfit;
  requireKey(record, table);
  const key = table.key.map((name) => stored(record.key[name] ?? null));
  return { table: { ...table, strict: local?.strict ?? false }, key, now: rowOf(table, findRow(connection, table, key)) };
}

/**
 * Carries a person's decision out, in one transaction: the row as any application would write it, the history, the audit, and the row
 * for the child.
 */
export async function decide(
  file: DatabaseFile,
  seen: ConflictRecord,
  decision: Decision,
  by: DecidedBy & { readonly at: string },
): Promise<ConflictRecord> {
  try {
    return await file.write((connection) => decideIn(connection, file, { seen, decision, by }));
  } catch (error) {
    // of a statement, or of the commit, where deferred foreign keys are checked
    throw isRefusal(error) ? rowRefused(error.message) : error;
  }
}

function decideIn(
  connection: Connection,
  file: DatabaseFile,
  given: { readonly seen: ConflictRecord; readonly decision: Decision; readonly by: DecidedBy & { readonly at: string } },
): ConflictRecord {
  const { seen, decision, by } = given;
  const record = readRecord(connection, seen.id);
  if (record === null) throw conflictUnknown(file.node, seen.id);
  if (!sameDecision(record, seen)) throw decidedMeanwhile(record);
  const { table, key, now } = ownRow(connection, file, record);
  const changed = changedSince(connection, table, { key, left: record.result, now });
  if (changed !== null && !by.force) throw rowChanged(record, changed, now);
  const wanted = decidedRow(record, read(record, decision, table, now), table, now);
  bringTo(connection, table, { key, current: now, wanted });
  const result = rowOf(table, findRow(connection, table, key));
  if (now === null || wanted !== null) tellChild(connection, record, { table, key, at: by.at });
  const reason = decisionReason(record, decision, by, changed);
  storeDecision(connection, record, { resolution: resolutionOf(decision), reason, who: by.who, at: by.at, result });
  connection
    .prepare("insert into tombolo_audit (at, who, what, details) values (?, ?, ?, ?)")
    .run(by.at, by.who, AUDIT_WHAT, auditDetails(record, decision, changed !== null));
  return readRecord(connection, seen.id) ?? record;
}

function read(record: ConflictRecord, decision: Decision, table: OwnRow["table"], now: Row | null): ReadDecision {
  if ("take" in decision) return decision;
  const versions = [now, record.parent, record.child, record.base];
  const set: { [column: string]: Value } = {};
  for (const [name, text] of settableColumns(record, decision.set, table, (a, b) => a.toLowerCase() === b.toLowerCase())) {
    const before = versions.flatMap((version) => (version === null || !Object.hasOwn(version, name) ? [] : [version[name] ?? null]));
    const column = table.columns.find((each) => each.name === name);
    if (column !== undefined) set[name] = valueOfText(text, column, table.strict, before);
  }
  return { set };
}

/** The child gets the row as a whole: where the decision left it as it was, nothing else would tell. A deletion is told by itself. */
function tellChild(
  connection: Connection,
  record: ConflictRecord,
  row: { readonly table: CapturedTable; readonly key: readonly Bindable[]; readonly at: string },
): void {
  const peer = connection.prepare("select id from tombolo_peer where name = ? and role = 'child'").pluck().get(record.childNode) as
    | bigint
    | undefined;
  if (peer !== undefined) putRefresh(connection, { ...row, peer: Number(peer) });
}

const isRefusal = (error: unknown): error is Error => error instanceof Error && !(error instanceof TomboloError) && isRowError(error);
