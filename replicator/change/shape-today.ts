import type { Change } from "./change.ts";
import type { TableShape } from "./shape.ts";
import { parseRow, type RowText, rowText } from "./value.ts";

/**
 * A parked change and the shape that it came with, by what the sender's table is today (`now`; nothing is known of it when that is
 * missing): columns that were added before the sender's shape knew them get their types, and columns that were dropped both there and
 * here (`here`: names of this node's columns) are left out. A column that went while others came may have been renamed: what a change
 * holds of it stays, and so the change waits for a person.
 */
export function asOfToday(
  parked: { readonly change: Change; readonly shape: TableShape },
  now: readonly TableShape[],
  here: readonly string[],
): { readonly change: Change; readonly shape: TableShape } {
  const { change, shape } = parked;
  const today = now.find(({ table, engine }) => table === shape.table && engine === shape.engine);
  if (today === undefined) return parked;
  const more = today.columns.filter(({ name }) => !shape.columns.some((column) => column.name === name));
  if (more.length > 0) return { change, shape: { ...shape, columns: [...shape.columns, ...more] } };
  const kept = new Set([...today.columns.map(({ name }) => name.toLowerCase()), ...here.map((name) => name.toLowerCase())]);
  const columns = shape.columns.filter(({ name }) => kept.has(name.toLowerCase()));
  if (columns.length === shape.columns.length) return parked;
  const without = (row: RowText | null): RowText | null => (row === null || row === "" ? row : only(row, kept));
  return { shape: { ...shape, columns }, change: { ...change, old: without(change.old), new: without(change.new) } };
}

const only = (row: RowText, kept: ReadonlySet<string>): RowText =>
  rowText(Object.fromEntries(Object.entries(parseRow(row)).filter(([name]) => kept.has(name.toLowerCase()))));
