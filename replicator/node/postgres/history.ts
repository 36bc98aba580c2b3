import type pg from "pg";
import type { Row } from "../../change/value.ts";
import type { Clash, Conflict } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { TextRow } from "./incoming.ts";

/** One parameter for each of `conflictValues`: an array of as many texts as there are conflicts. */
const INSERT = `
  insert into tombolo.conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
      child_node, parent_changed_at, child_changed_at, columns, status, resolved_by, resolved_at)
  select c1, c2::jsonb, c3, c4, c5, c6, c7::jsonb, c8::jsonb, c9::jsonb, c10::jsonb, c11, to_timestamp(c12::float8), to_timestamp(c13::float8), c14::text[],
      case when c5 = 'open' then 'open' else 'resolved' end, case when c5 <> 'open' then 'policy' end, case when c5 <> 'open' then clock_timestamp() end
    from unnest(${Array.from({ length: 14 }, (_, at) => `$${at + 1}::text[]`).join(", ")}) with ordinality
      as u(${Array.from({ length: 14 }, (_, at) => `c${at + 1}`).join(", ")}, ord)
   order by ord`;

const json = (row: Row | null): string | null => (row === null ? null : JSON.stringify(row));
const seconds = (microseconds: number | null): string | null => (microseconds === null ? null : String(microseconds / 1e6));

/** A conflict that was decided, or left open. */
export interface DecidedConflict {
  readonly clash: Clash;
  readonly conflict: Conflict;
  readonly key: TextRow;
  readonly result: Row | null;
}

const insert = (conflicts: readonly (readonly (string | null)[])[]): pg.QueryConfig => ({
  name: "tombolo_conflicts",
  text: INSERT,
  values: Array.from({ length: 14 }, (_, at) => textArray(conflicts.map((values) => values[at] ?? null))),
});

/** Writes conflicts with all their images, in the transaction that carries them out. */
export const conflictRecords = (conflicts: readonly DecidedConflict[]): pg.QueryConfig =>
  insert(
    conflicts.map(({ clash, conflict, key, result }) => [
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
    ]),
  );

/** The row as it is in the end: columns that a verdict does not name stay. */
export const finalRow = (parent: TextRow | null, result: TextRow | null): Row | null =>
  result === null ? null : { ...(parent ?? {}), ...result };

/** A fill found another row under the same key: the parent's replaces it, and what was here is kept in the history. */
export async function recordOverwritten(
  session: ApplySession,
  row: { readonly table: CapturedTable; readonly key: TextRow; readonly current: TextRow; readonly wanted: TextRow },
): Promise<void> {
  const values = [
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
  ];
  await session.client.query(insert([values]));
  session.outcome.conflict(row.table.name, "insert_insert", "parent");
}
