import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { type Bindable, findRow, keyImage, prepared } from "./rows.ts";

/** Puts a row as it is now (or its absence) into the log, for one peer. */
export function putRefresh(
  connection: Connection,
  row: { readonly table: CapturedTable; readonly key: readonly Bindable[]; readonly peer: number; readonly at: string },
): void {
  const { table, key } = row;
  const found = findRow(connection, table, key);
  prepared(
    connection,
    "insert into tombolo_change (table_id, op, key, old, new, origin, target, changed_at) values (?, 'R', ?, null, ?, null, ?, ?)",
  ).run(table.id, found?.key ?? keyImage(connection, table, key), found?.image ?? null, row.peer, row.at);
}
