import type { NodeName } from "../../change/names.ts";
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
import type { CapturedTable } from "./captured-tables.ts";
import { readRecord, storeDecision } from "./conflict-records.ts";
import { changedSince, readValues } from "./conflict-row.ts";
import type { TextRow } from "./incoming.ts";
import { isServerError, postgresError } from "./postgres-error.ts";
import { putRefresh, type RefreshAccess } from "./refresh.ts";
import { isRowError } from "./row-error.ts";
import { bringTo, lockRows } from "./rows.ts";
import { advanceSequences } from "./sequences.ts";

export interface DecideAccess extends RefreshAccess {
  readonly node: NodeName;
  /** Of the conflict. */
  readonly table: CapturedTable;
}

/**
 * Carries a person's decision out, in the caller's transaction: the row as any application would write it, the history, the audit, and
 * the row for the child. The record is locked before the row; the applier locks no record, so the two never wait for each other in a circle.
 */
export async function decide(access: DecideAccess, seen: ConflictRecord, decision: Decision, by: DecidedBy): Promise<ConflictRecord> {
  const { client, table } = access;
  const tables = new Map([[table.name, table]]);
  const record = await readRecord(client, seen.id, tables, true);
  if (record === null) throw conflictUnknown(access.node, seen.id);
  if (!sameDecision(record, seen)) throw decidedMeanwhile(record);
  requireKey(record, table);
  const key = record.key as TextRow;
  const { changed, deleted } = await writeRow(access, record, await read(access, record, decision), by);
  const [result = null] = await lockRows(access, table, [key]);
  if (!deleted) await tellChild(access, record, key);
  const reason = decisionReason(record, decision, by, changed);
  await storeDecision(client, record, { resolution: resolutionOf(decision), reason, who: by.who, result });
  await client.query("insert into tombolo.audit (who, what, details) values ($1, $2, $3)", [
    by.who,
    AUDIT_WHAT,
    auditDetails(record, decision, changed !== null),
  ]);
  return (await readRecord(client, seen.id, tables)) ?? record;
}

async function read(access: DecideAccess, record: ConflictRecord, decision: Decision): Promise<ReadDecision> {
  if ("take" in decision) return decision;
  return {
    set: await readValues(
      access,
      access.table,
      settableColumns(record, decision.set, access.table, (a, b) => a === b),
    ),
  };
}

/** Answers what had changed in the row (see `changedSince`), and whether the decision deleted it. */
async function writeRow(
  access: DecideAccess,
  record: ConflictRecord,
  decision: ReadDecision,
  by: DecidedBy,
): Promise<{ readonly changed: readonly string[] | null; readonly deleted: boolean }> {
  const { table } = access;
  const key = record.key as TextRow;
  for (let attempt = 1; ; attempt++) {
    const [now = null] = await lockRows(access, table, [key]);
    const changed = await changedSince(access, table, { key, left: record.result as TextRow | null, now });
    if (changed !== null && !by.force) throw rowChanged(record, changed, now);
    const wanted = decidedRow(record, decision, table, now) as TextRow | null;
    if (await written(access, { key, now, wanted })) {
      if (now === null && wanted !== null) await advanceSequences(access, [table]);
      return { changed, deleted: now !== null && wanted === null };
    }
    // someone inserted the row while nothing was there to lock: look again
    if (attempt === 5) throw rowChanged(record, [], {});
  }
}

async function written(
  access: DecideAccess,
  row: { readonly key: TextRow; readonly now: TextRow | null; readonly wanted: TextRow | null },
): Promise<boolean> {
  try {
    const done = await bringTo(access, access.table, row.key, row.now, row.wanted);
    // what would only be refused by the commit is refused here, where it can be told
    await access.client.query("set constraints all immediate");
    return done;
  } catch (error) {
    if (isServerError(error) && isRowError(error)) throw rowRefused(postgresError(error).message);
    throw error;
  }
}

/** The child gets the row as a whole: where the decision left it as it was, nothing else would tell. A deletion is told by itself. */
async function tellChild(access: DecideAccess, record: ConflictRecord, key: TextRow): Promise<void> {
  const { rows } = await access.client.query<{ id: string }>("select id from tombolo.peer where name = $1 and role = 'child'", [
    record.childNode,
  ]);
  if (rows[0] !== undefined) await putRefresh(access, access.table, { key, peerId: Number(rows[0].id), changedAt: null });
}
