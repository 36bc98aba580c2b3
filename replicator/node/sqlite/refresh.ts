import { imageOf, keyColumns } from "./capture.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
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

/** Puts every row of a table into the log, for one peer. */
export function refreshAll(
  connection: Connection,
  told: { readonly table: CapturedTable; readonly peer: number; readonly at: string },
): void {
  const { table, peer, at } = told;
  const name = quote(table.local);
  connection
    .prepare(
      `insert into tombolo_change (table_id, op, key, old, new, origin, target, changed_at)
        select ?, 'R', ${imageOf(keyColumns(table), name)}, null, ${imageOf(table.columns, name)}, null, ?, ? from ${name}`,
    )
    .run(table.id, peer, at);
}
