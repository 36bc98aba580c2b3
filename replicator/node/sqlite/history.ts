import type { Row, Value } from "../../change/value.ts";
import type { Clash, Conflict } from "../../change/verdict.ts";
import type { Replaced } from "../full-copy-history.ts";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { isoOfMicroseconds, isoTime } from "./clock.ts";
import { prepared } from "./rows.ts";

const INSERT = `
  insert into tombolo_conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
      child_node, parent_changed_at, child_changed_at, columns, detected_at, status, resolved_by, resolved_at)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, :now, :status, iif(:status = 'open', null, coalesce(:by, 'policy')), iif(:status = 'open', null, :now))`;

/**
 * A row as plain JSON for people and SQL: numbers as numbers with all their digits (SQLite's JSON reads them exactly), blobs as
 * `{"b": hex}`, infinities as numbers that are too large, which is how SQLite itself writes them.
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
  if (!Number.isFinite(Number(value.r))) return value.r.startsWith("-") ? "-9e999" : "9e999";
  return /^-?\d+$/.test(value.r) ? `${value.r}.0` : value.r;
}

/** Writes a conflict with all its images, decided or left open, in the transaction that carries it out. */
export function recordConflict(
  session: ApplySession,
  decided: {
    readonly clash: Clash;
    readonly conflict: Conflict;
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
    conflict.columns === undefined ? null : JSON.stringify(conflict.columns),
    { now: isoTime(session.clock()), status: conflict.resolution === "open" ? "open" : "resolved", by: null },
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
    null,
    { now: isoTime(session.clock()), status: "resolved", by: null },
  );
  session.outcome.conflict(row.table.name, "insert_insert", "parent");
}

/** Keeps a row that a full sync replaces, or deletes: `here` is the row, `staged` what it becomes. */
export function recordReplaced(
  session: ApplySession,
  row: { readonly table: CapturedTable; readonly key: Row; readonly here: Row; readonly staged: Row | null; readonly as: Replaced },
): void {
  const { as } = row;
  const side = (which: Replaced["parentRow"]): string | null =>
    which === "none" ? null : historyJson(which === "here" ? row.here : row.staged);
  prepared(session.connection, INSERT).run(
    row.table.name,
    historyJson(row.key),
    as.kind,
    as.policy,
    as.resolution,
    as.reason,
    side(as.parentRow),
    side(as.childRow),
    null,
    historyJson(row.staged),
    as.resolution === "parent" ? session.header.target : session.header.source,
    null,
    null,
    null,
    { now: isoTime(session.clock()), status: "resolved", by: "full-sync" },
  );
  session.outcome.conflict(row.table.name, as.kind, as.resolution);
}
