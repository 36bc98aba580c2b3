import type { NodeName } from "../change/names.ts";
import type { ParkedDetails, ParkedRecord } from "../node/parked-desk.ts";
import { operationName } from "../observability/status-report.ts";
import { type RowJson, rowJson } from "./row-json.ts";

/** A parked change as JSON answers carry it. */
export interface ParkedReport {
  readonly node: string;
  readonly id: string;
  readonly peer: string;
  readonly role: "parent" | "child";
  readonly table: string;
  readonly op: string;
  readonly key: RowJson;
  readonly old: RowJson | null;
  readonly new: RowJson | null;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly changed_at: string;
  readonly parked_at: string;
  readonly tried_at: string;
}

export const parkedReport = (node: NodeName, record: ParkedRecord): ParkedReport => ({
  node,
  id: record.id.toString(),
  peer: record.peer,
  role: record.role,
  table: record.table,
  op: operationName(record.op),
  key: rowJson(record.key),
  old: rowJson(record.old),
  new: rowJson(record.new),
  code: record.code,
  reason: record.reason,
  attempts: record.attempts,
  changed_at: record.changedAt,
  parked_at: record.parkedAt,
  tried_at: record.triedAt,
});

/** With the row as it is here and as its sender has it, and what is in the way. */
export const parkedDetailsReport = (node: NodeName, { record, now, theirs, obstacles }: ParkedDetails) => ({
  parked: parkedReport(node, record),
  now: rowJson(now),
  theirs: rowJson(theirs),
  in_the_way: obstacles.map(({ kind, constraint, columns, table, row, parked }) => ({
    kind,
    constraint,
    columns: [...columns],
    table,
    row: rowJson(row),
    parked: parked?.toString() ?? null,
  })),
});
