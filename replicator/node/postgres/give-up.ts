import type { TableName } from "../../change/names.ts";
import type { Row } from "../../change/value.ts";
import { GIVEN_UP, kindOfRefusal } from "../parked-desk.ts";
import type { IncomingTable } from "./incoming.ts";
import type { ParkedChange } from "./parked.ts";
import { type ParkedRow, parkedRow } from "./parked-row.ts";
import type { RowAccess } from "./rows.ts";

const INSERT = `
  insert into tombolo.conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
      child_node, child_changed_at, resolved_by, resolved_at)
  values ($1, $2, $3, $4, 'parent', $5, $6, $7, $8, $6, $9, to_timestamp($10::float8), $11, clock_timestamp())`;

const json = (row: Row | null): string | null => (row === null ? null : JSON.stringify(row));

/** Writes a parked change of a child into the history: it will not be applied, and the row stays the parent's. Answers the row. */
export async function giveUp(
  access: RowAccess,
  given: {
    /** Null where the table is not captured any more. */
    readonly table: IncomingTable | null;
    readonly parked: Pick<ParkedChange, "change" | "code" | "reason"> & { readonly table: TableName };
    readonly child: string;
    readonly how: keyof typeof GIVEN_UP;
    /** Who decided. */
    readonly by: string;
  },
): Promise<ParkedRow> {
  const { table, parked, child, how, by } = given;
  const row = await parkedRow(access, table, parked.change);
  await access.client.query(INSERT, [
    parked.table,
    json(row.key),
    kindOfRefusal(parked.code),
    how === "discarded" ? "manual" : (table?.rule.policy ?? "parent_wins"),
    GIVEN_UP[how](parked.reason),
    json(row.now),
    json(row.theirs),
    json(row.base),
    child,
    parked.change.changedAt / 1e6,
    by,
  ]);
  return row;
}
