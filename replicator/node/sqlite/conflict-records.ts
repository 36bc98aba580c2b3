import { nodeName, tableName } from "../../change/names.ts";
import type { Row } from "../../change/value.ts";
import type { ConflictKind, Resolution } from "../../change/verdict.ts";
import type { ConflictFilter, ConflictRecord } from "../conflict-desk.ts";
import type { Connection } from "./connection.ts";
import { historyJson } from "./history.ts";
import { historyRow } from "./history-row.ts";

interface Stored {
  readonly id: bigint;
  readonly detected_at: string;
  readonly table_name: string;
  readonly key: string;
  readonly kind: string;
  readonly policy: string;
  readonly resolution: string;
  readonly reason: string;
  readonly parent_row: string | null;
  readonly child_row: string | null;
  readonly base_row: string | null;
  readonly result_row: string | null;
  readonly child_node: string;
  readonly parent_changed_at: string | null;
  readonly child_changed_at: string | null;
  readonly status: string;
  readonly resolved_by: string | null;
  readonly resolved_at: string | null;
  readonly columns: string | null;
}

/** Newest first. */
export function readRecords(connection: Connection, filter: ConflictFilter): readonly ConflictRecord[] {
  const values: (string | bigint)[] = [];
  const conditions: string[] = [];
  const where = (condition: string, value: string | bigint | undefined): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition);
  };
  where("table_name = ?", filter.table);
  where("child_node = ?", filter.childNode);
  where("kind = ?", filter.kind);
  where("detected_at >= ?", stored(filter.since));
  where("detected_at < ?", stored(filter.until));
  where("id < ?", filter.before);
  if (filter.open === true) conditions.push("status = 'open'");
  const filtered = conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`;
  const rows = connection
    .prepare(`select * from tombolo_conflict_history ${filtered} order by id desc limit ?`)
    .all(...values, BigInt(filter.limit)) as Stored[];
  return rows.map(recordOf);
}

/** Times are stored, and so compared, in one form. */
const stored = (time: string | undefined): string | undefined => (time === undefined ? undefined : new Date(time).toISOString());

/** Null when there is no such record. */
export function readRecord(connection: Connection, id: bigint): ConflictRecord | null {
  const row = connection.prepare("select * from tombolo_conflict_history where id = ?").get(id) as Stored | undefined;
  return row === undefined ? null : recordOf(row);
}

/** Writes what has been decided. */
export function storeDecision(
  connection: Connection,
  record: ConflictRecord,
  decided: {
    readonly resolution: Resolution;
    readonly reason: string;
    readonly who: string;
    readonly at: string;
    readonly result: Row | null;
  },
): void {
  connection
    .prepare(
      `update tombolo_conflict_history
          set status = 'resolved', resolution = ?, reason = ?, resolved_by = ?, resolved_at = ?, result_row = ? where id = ?`,
    )
    .run(decided.resolution, decided.reason, decided.who, decided.at, historyJson(decided.result), record.id);
}

function recordOf(row: Stored): ConflictRecord {
  return {
    id: row.id,
    detectedAt: row.detected_at,
    table: tableName(row.table_name),
    key: historyRow(row.key) ?? {},
    kind: row.kind as ConflictKind,
    policy: row.policy,
    resolution: row.resolution as Resolution,
    reason: row.reason,
    columns: row.columns === null ? null : (JSON.parse(row.columns) as string[]),
    parent: historyRow(row.parent_row),
    child: historyRow(row.child_row),
    base: historyRow(row.base_row),
    result: historyRow(row.result_row),
    childNode: nodeName(row.child_node),
    parentChangedAt: row.parent_changed_at,
    childChangedAt: row.child_changed_at,
    status: row.status === "open" ? "open" : "resolved",
    resolvedBy: row.resolved_by,
    resolvedAt: row.resolved_at,
  };
}
