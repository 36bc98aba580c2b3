import type pg from "pg";
import type { Row } from "../../change/value.ts";
import type { Clash, Conflict } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { TextRow } from "./incoming.ts";

const INSERT = `
  insert into tombolo.conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
      child_node, parent_changed_at, child_changed_at, columns, status, resolved_by, resolved_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, to_timestamp($12::float8), to_timestamp($13::float8), $14,
      case when $5 = 'open' then 'open' else 'resolved' end, case when $5 <> 'open' then 'policy' end, case when $5 <> 'open' then clock_timestamp() end)`;

const json = (row: Row | null): string | null => (row === null ? null : JSON.stringify(row));
const seconds = (microseconds: number | null): number | null => (microseconds === null ? null : microseconds / 1e6);

/** Writes a conflict with all its images, decided or left open, in the transaction that carries it out. */
export const conflictRecord = ({
  clash,
  conflict,
  key,
  result,
}: {
  readonly clash: Clash;
  readonly conflict: Conflict;
  readonly key: TextRow;
  readonly result: Row | null;
}): pg.QueryConfig => ({
  name: "tombolo_conflict",
  text: INSERT,
  values: [
    clash.table,
    json(key),
    conflict.kind,
    clash.policy,
    conflict.resolution,
    conflict.reason,
    json(clash.parent),
    json(clash.child),
    json(clash.base),
    json(result),
    clash.childNode,
    seconds(clash.parentChangedAt),
    seconds(clash.childChangedAt),
    conflict.columns === undefined ? null : textArray(conflict.columns),
  ],
});

/** A fill found another row under the same key: the parent's replaces it, and what was here is kept in the history. */
export async function recordOverwritten(
  session: ApplySession,
  row: { readonly table: CapturedTable; readonly key: TextRow; readonly current: TextRow; readonly wanted: TextRow },
): Promise<void> {
  await session.client.query(INSERT, [
    row.table.name,
    json(row.key),
    "insert_insert",
    "parent_wins",
    "parent",
    "the child was filled from its parent and held another row under this key",
    json(row.wanted),
    json(row.current),
    null,
    json(row.wanted),
    session.header.target,
    null,
    null,
    null,
  ]);
  session.outcome.conflict(row.table.name, "insert_insert", "parent");
}
