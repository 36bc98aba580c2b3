import { type CopyRows, copyFields, copyLines, taggedValue } from "../../change/copy-text.ts";
import { TomboloError } from "../../change/error.ts";
import type { CopiedTable } from "../full-copy.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { type ColumnTarget, columnTarget, localColumn } from "./incoming.ts";
import type { Bindable } from "./rows.ts";
import { readTable } from "./shape.ts";

/** The columns here of what is copied. Throws `COLUMN_MISSING` (operator). */
export function columnsHere(
  connection: Connection,
  { shape }: CopiedTable,
  table: CapturedTable,
): { readonly columns: readonly ColumnTarget[]; readonly strict: boolean } {
  const strict = readTable(connection, table.local)?.strict ?? false;
  const columns = shape.columns.map((column) => {
    const local = localColumn(table, column.name);
    if (local !== undefined) return columnTarget({ column, shape, local, strict, decoded: true });
    throw new TomboloError(`table ${table.name} has no column ${column.name} here`, {
      code: "COLUMN_MISSING",
      kind: "operator",
      hint: "add the column here, or exclude it on both sides",
    });
  });
  return { columns, strict };
}

/** Rows of one statement: a call costs as much as a row. */
const MOST_ROWS = 32;
const MOST_VALUES = 1000;

/**
 * Inserts rows of a full sync, several by a statement; answers what came. `into`: `insert into …`, up to the values. `row`: the values of one, with a `?` for each of
 * `columns`. Throws `VALUE_REFUSED` (operator) for a value that has no exact form here.
 */
export async function insertRows(
  connection: Connection,
  copied: CopiedTable,
  given: { readonly into: string; readonly row: string; readonly columns: readonly ColumnTarget[]; readonly rows: CopyRows },
): Promise<{ readonly rows: number; readonly bytes: number }> {
  const { into, row, columns } = given;
  const atOnce = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_VALUES / columns.length)));
  const one = connection.prepare(`${into} values ${row}`);
  const several = connection.prepare(`${into} values ${Array.from({ length: atOnce }, () => row).join(", ")}`);
  let waiting: Bindable[][] = [];
  const counted = await eachRow(copied, given, (values) => {
    waiting.push(values);
    if (waiting.length < atOnce) return;
    several.run(waiting.flat());
    waiting = [];
  });
  for (const values of waiting) one.run(values);
  return counted;
}

/**
 * Reads rows, or keys, of a full sync and hands over what they are here; answers what came. Throws `VALUE_REFUSED` (operator) for a value that has no exact form here.
 */
export async function eachRow(
  { shape }: CopiedTable,
  { columns, rows }: { readonly columns: readonly ColumnTarget[]; readonly rows: CopyRows },
  take: (values: Bindable[]) => void,
): Promise<{ readonly rows: number; readonly bytes: number }> {
  let count = 0;
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const piece of rows) {
      bytes += piece.length;
      yield piece;
    }
  }
  const isTagged = shape.engine === "sqlite";
  const width = columns.length;
  for await (const all of copyLines(counted())) {
    for (const line of all) {
      const fields = copyFields(line);
      const values = new Array<Bindable>(width);
      for (let at = 0; at < width; at++) {
        const field = fields[at] ?? null;
        values[at] = (columns[at] as ColumnTarget).convert(isTagged ? taggedValue(field) : field);
      }
      take(values);
      count += 1;
    }
  }
  return { rows: count, bytes };
}
