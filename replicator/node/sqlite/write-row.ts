import { type Row, sameValue } from "../../change/value.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import { type Bindable, keyCondition, prepared, type RowTable, stored } from "./rows.ts";

/** Makes the row of a key what it is to be; columns that `wanted` does not name stay. `current` is the row now. */
export function bringTo(
  connection: Connection,
  table: RowTable,
  row: { readonly key: readonly Bindable[]; readonly current: Row | null; readonly wanted: Row | null },
): void {
  const { key, current, wanted } = row;
  if (wanted === null) {
    if (current !== null) deleteRow(connection, table, key);
    return;
  }
  if (current === null) {
    const names = Object.keys(wanted);
    const sql = `insert or abort into ${quote(table.local)} (${names.map(quote).join(", ")}) values (${names.map(() => "?").join(", ")})`;
    prepared(connection, sql).run(...names.map((name) => stored(wanted[name] ?? null)));
    return;
  }
  const names = Object.keys(wanted).filter((name) => !sameValue(wanted[name], current[name]));
  if (names.length === 0) return;
  const sql = `update or abort ${quote(table.local)} set ${names.map((name) => `${quote(name)} = ?`).join(", ")} where ${keyCondition(table)}`;
  prepared(connection, sql).run(...names.map((name) => stored(wanted[name] ?? null)), ...key);
}

export function deleteRow(connection: Connection, table: RowTable, key: readonly Bindable[]): void {
  prepared(connection, `delete from ${quote(table.local)} where ${keyCondition(table)}`).run(...key);
}
