import type { TableName } from "../../change/names.ts";
import { GIVEN_UP, kindOfRefusal } from "../parked-desk.ts";
import { type Clock, isoOfMicroseconds, isoTime } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { historyJson } from "./history.ts";
import type { IncomingTable } from "./incoming.ts";
import type { ParkedChange } from "./parked.ts";
import { type ParkedRow, parkedRow } from "./parked-row.ts";
import { prepared } from "./rows.ts";

const INSERT = `
  insert into tombolo_conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
      child_node, child_changed_at, resolved_by, detected_at, resolved_at)
  values (?, ?, ?, ?, 'parent', ?, :now_row, ?, ?, :now_row, ?, ?, ?, :now, :now)`;

/** Writes a parked change of a child into the history: it will not be applied, and the row stays the parent's. Answers the row. */
export function giveUp(
  access: { readonly connection: Connection; readonly clock: Clock },
  given: {
    /** Null where the table is not captured any more. */
    readonly table: IncomingTable | null;
    readonly parked: Pick<ParkedChange, "change" | "code" | "reason"> & { readonly table: TableName };
    readonly child: string;
    readonly how: keyof typeof GIVEN_UP;
    /** Who decided. */
    readonly by: string;
  },
): ParkedRow {
  const { table, parked, child, how, by } = given;
  const row = parkedRow(access.connection, table, parked.change);
  prepared(access.connection, INSERT).run(
    parked.table,
    historyJson(row.key),
    kindOfRefusal(parked.code),
    how === "discarded" ? "manual" : (table?.rule.policy ?? "parent_wins"),
    GIVEN_UP[how](parked.reason),
    historyJson(row.theirs),
    historyJson(row.base),
    child,
    isoOfMicroseconds(parked.change.changedAt),
    by,
    { now: isoTime(access.clock()), now_row: historyJson(row.now) },
  );
  return row;
}
