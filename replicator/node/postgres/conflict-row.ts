import type { Column } from "../../change/shape.ts";
import { valueRefused } from "../conflict-errors.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { sameImage, typed } from "./column-sql.ts";
import type { TextRow } from "./incoming.ts";
import { isServerError } from "./postgres-error.ts";
import { isRowError } from "./row-error.ts";
import { keyValues, keyWhere, normalise, type RowAccess } from "./rows.ts";

/**
 * The columns of the row that are not what the history says a conflict left behind; empty where the row came or went, null where
 * nothing has changed. Values are compared by their columns' types. The row is locked.
 */
export async function changedSince(
  access: RowAccess,
  table: CapturedTable,
  row: { readonly key: TextRow; readonly left: TextRow | null; readonly now: TextRow | null },
): Promise<readonly string[] | null> {
  const { key, left, now } = row;
  if (left === null || now === null) return left === now ? null : [];
  const changed: string[] = [];
  for (const column of table.columns) {
    const { name } = column;
    const value = left[name];
    if (value === undefined || value === now[name]) continue;
    if (!(await holds(access, table, { key, column, value }))) changed.push(name);
  }
  return changed.length === 0 ? null : changed;
}

async function holds(
  access: RowAccess,
  table: CapturedTable,
  cell: { readonly key: TextRow; readonly column: Column; readonly value: string | null },
): Promise<boolean> {
  const at = table.key.length + 1;
  const same = await unlessRefused(access, async () => {
    const { rows } = await access.client.query({
      text: `select ${sameImage(cell.column, typed(`$${at}::text`, cell.column))} as same from ${table.sql} as t where ${keyWhere(table)}`,
      values: [...keyValues(table, cell.key), cell.value],
    });
    return (rows[0] as { same: string } | undefined)?.same === "t";
  });
  // the column has another type since, which the value is none for
  return same.value ?? false;
}

/** Values that a person gave, as the columns' types print them. Throws `CONFLICT_REFUSED`, which names the column. */
export async function readValues(
  access: RowAccess,
  table: CapturedTable,
  values: readonly (readonly [column: string, value: string | null])[],
): Promise<TextRow> {
  const row: TextRow = {};
  for (const [name, value] of values) {
    const { value: read, sqlstate } = await unlessRefused(access, () => normalise(access, table, { [name]: value }));
    if (read === undefined) throw valueRefused(name, table.columns.find((column) => column.name === name)?.type ?? "", sqlstate);
    row[name] = read[name] ?? null;
  }
  return row;
}

/** What `work` answers; undefined, with the SQLSTATE, where the server refuses a value. */
async function unlessRefused<T>(
  { client }: RowAccess,
  work: () => Promise<T>,
): Promise<{ readonly value: T | undefined; readonly sqlstate: string }> {
  await client.query("savepoint value");
  try {
    const value = await work();
    await client.query("release savepoint value");
    return { value, sqlstate: "" };
  } catch (error) {
    if (!isServerError(error) || !isRowError(error)) throw error;
    await client.query("rollback to savepoint value; release savepoint value");
    return { value: undefined, sqlstate: error.code };
  }
}
