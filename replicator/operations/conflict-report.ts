import type { NodeName } from "../change/names.ts";
import type { ConflictRecord, ShownConflict } from "../node/conflict-desk.ts";
import { type ErrorReport, errorReport } from "../observability/describe-error.ts";
import { type RowJson, rowJson } from "./row-json.ts";
import { differingColumns, type Side } from "./row-versions.ts";

/** A conflict as JSON answers carry it. */
export interface ConflictReport {
  readonly node: string;
  readonly id: string;
  readonly detected_at: string;
  readonly table: string;
  readonly key: RowJson;
  readonly kind: string;
  readonly child: string;
  readonly policy: string;
  readonly resolution: string;
  readonly reason: string;
  readonly columns: string[] | null;
  readonly parent_row: RowJson | null;
  readonly child_row: RowJson | null;
  readonly base_row: RowJson | null;
  readonly result_row: RowJson | null;
  readonly parent_changed_at: string | null;
  readonly child_changed_at: string | null;
  readonly status: "open" | "resolved";
  readonly resolved_by: string | null;
  readonly resolved_at: string | null;
}

/** With the row as it is now. */
export interface ShownConflictReport {
  readonly conflict: ConflictReport;
  readonly now: RowJson | null;
  /** Why the row cannot be read. */
  readonly now_error: ErrorReport | null;
  readonly differing: string[];
}

export const conflictReport = (node: NodeName, record: ConflictRecord): ConflictReport => ({
  node,
  id: record.id.toString(),
  detected_at: record.detectedAt,
  table: record.table,
  key: rowJson(record.key),
  kind: record.kind,
  child: record.childNode,
  policy: record.policy,
  resolution: record.resolution,
  reason: record.reason,
  columns: record.columns === null ? null : [...record.columns],
  parent_row: rowJson(record.parent),
  child_row: rowJson(record.child),
  base_row: rowJson(record.base),
  result_row: rowJson(record.result),
  parent_changed_at: record.parentChangedAt,
  child_changed_at: record.childChangedAt,
  status: record.status,
  resolved_by: record.resolvedBy,
  resolved_at: record.resolvedAt,
});

export const shownConflictReport = (node: NodeName, shown: ShownConflict): ShownConflictReport => ({
  conflict: conflictReport(node, shown.record),
  now: rowJson(shown.now),
  now_error: shown.unreadable === null ? null : errorReport(shown.unreadable),
  differing: [...differingColumns(versionsOf(shown))],
});

/** The versions of the row that a conflict is about, side by side. */
export const versionsOf = ({ record, now, unreadable }: ShownConflict): readonly Side[] => [
  { title: "BASE", row: record.base },
  { title: "PARENT", row: record.parent },
  { title: "CHILD", row: record.child },
  { title: "RESULT", row: record.result },
  ...(unreadable === null ? [{ title: "NOW", row: now }] : []),
];
