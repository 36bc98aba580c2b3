import type { Row, Value } from "../../change/value.ts";
import type { Clash, Verdict } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { isoOfMicroseconds, isoTime } from "./clock.ts";
import { prepared } from "./rows.ts";

const INSERT = `
  insert into tombolo_conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
      child_node, parent_changed_at, child_changed_at, detected_at, resolved_by, resolved_at)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, :now, 'policy', :now)`;

/**
 * A row as plain JSON for people and SQL: numbers as numbers with all their digits (SQLite's JSON reads them exactly), blobs as
 * `{"b": hex}`, infinities as text.
 */
export function historyJson(row: Row | null): string | null {
  if (row === null) return null;
  return `{${Object.entries(row)
    .map(([name, value]) => `${JSON.stringify(name)}:${plain(value)}`)
    .join(",")}}`;
}

function plain(value: Value): string {
  if (value === null || typeof value === "string" || "b" in value) return JSON.stringify(value);
  if ("i" in value) return value.i;
  // a real stays one: 1.0, not 1
  if (!Number.isFinite(Number(value.r))) return JSON.stringify(value.r);
  return /^-?\d+$/.test(value.r) ? `${value.r}.0` : value.r;
}

/** Writes a decided conflict, with all its images, in the transaction that carries it out. */
export function recordConflict(
  session: ApplySession,
  decided: {
    readonly clash: Clash;
    readonly verdict: Verdict;
    readonly conflict: NonNullable<Verdict["conflict"]>;
    readonly key: Row;
    readonly result: Row | null;
  },
): void {
  const { clash, conflict } = decided;
  prepared(session.connection, INSERT).run(
    clash.table,
    historyJson(decided.key),
    conflict.kind,
    clash.policy,
    conflict.resolution,
    conflict.reason,
    historyJson(clash.parent),
    historyJson(clash.child),
    historyJson(clash.base),
    historyJson(decided.result),
    clash.childNode,
    isoOfMicroseconds(clash.parentChangedAt),
    isoOfMicroseconds(clash.childChangedAt),
    { now: isoTime(session.clock()) },
  );
}

/** A fill found another row under the same key: the parent's replaces it, and what was here is kept in the history. */
export function recordOverwritten(
  session: ApplySession,
  row: { readonly table: CapturedTable; readonly key: Row; readonly current: Row; readonly wanted: Row },
): void {
  const wanted = historyJson(row.wanted);
  prepared(session.connection, INSERT).run(
    row.table.name,
    historyJson(row.key),
    "insert_insert",
    "parent_wins",
    "parent",
    "the child was filled from its parent and held another row under this key",
    wanted,
    historyJson(row.current),
    null,
    wanted,
    session.header.target,
    null,
    null,
    { now: isoTime(session.clock()) },
  );
  session.outcome.conflict(row.table.name, "insert_insert", "parent");
}
