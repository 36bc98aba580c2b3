import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { ident } from "./identifier.ts";
import type { TextRow } from "./incoming.ts";
import { columnNamed, keysIn, valuesIn } from "./set-statements.ts";

/** Reads and writes of single rows, in the text that Postgres prints. */
export interface RowAccess {
  readonly client: pg.ClientBase;
  /** Quoted schema of the hstore extension. */
  readonly hstore: string;
}

const columnMissing = (table: CapturedTable, column: string): TomboloError =>
  new TomboloError(`table ${table.name} has lost its column ${column}`, {
    code: "COLUMN_MISSING",
    kind: "operator",
    hint: "bring it back, or run `tombolo apply`; what waits then applies by itself",
  });

export const keyWhere = (table: CapturedTable, from = 1): string =>
  table.key.map((name, index) => `t.${ident(name)} = ${typed(`$${from + index}::text`, columnNamed(table, name))}`).join(" and ");

export const keyValues = (table: CapturedTable, key: TextRow): (string | null)[] => table.key.map((name) => key[name] ?? null);

/** Only the columns that travel. A column that the table has lost is not a NULL: nothing can be said of the row. */
export function captured(table: CapturedTable, text: string): TextRow {
  const all = JSON.parse(text) as TextRow;
  const row: TextRow = {};
  for (const { name } of table.columns) {
    const value = all[name];
    if (value === undefined) throw columnMissing(table, name);
    row[name] = value;
  }
  return row;
}

/** The rows with these keys, locked until the transaction ends, in key order; null where there is none. */
export async function lockRows(access: RowAccess, table: CapturedTable, keys: readonly TextRow[]): Promise<(TextRow | null)[]> {
  const { text, matches, values } = keysIn(table, keys);
  const { rows } = await access.client.query({
    text: `with x as materialized (${text})
      select x.ord, ${access.hstore}.hstore_to_json(${access.hstore}.hstore(t.*))::text from x join ${table.sql} as t on ${matches}
      order by ${table.key.map((_, index) => `x.k${index}`).join(", ")} for update of t`,
    values,
    rowMode: "array",
  });
  const found: (TextRow | null)[] = keys.map(() => null);
  for (const [ordinal, text] of rows as [string, string][]) found[Number(ordinal) - 1] = captured(table, text);
  return found;
}

/** The row with this key as it is now, not locked; null when there is none. */
export async function readRow(access: RowAccess, table: CapturedTable, key: TextRow): Promise<TextRow | null> {
  const { rows } = await access.client.query({
    text: `select ${access.hstore}.hstore_to_json(${access.hstore}.hstore(t.*))::text from ${table.sql} as t where ${keyWhere(table)}`,
    values: keyValues(table, key),
    rowMode: "array",
  });
  const [row] = rows as [string][];
  return row === undefined ? null : captured(table, row[0]);
}

/** The values as Postgres itself prints them once they have gone through the columns' types. */
export async function normalise(access: RowAccess, table: CapturedTable, row: TextRow): Promise<TextRow> {
  const names = Object.keys(row);
  if (names.length === 0) return {};
  const casts = names.map((name, index) => {
    const column = columnNamed(table, name);
    const value = typed(`$${index + 1}::text`, column);
    // through the declared type where that cannot cut: 3 is 3.00 in a numeric(10,2)
    return `${value} as ${ident(name)}`;
  });
  const { rows } = await access.client.query({
    text: `select ${access.hstore}.hstore_to_json(${access.hstore}.hstore(r.*))::text from (select ${casts.join(", ")}) as r`,
    values: names.map((name) => row[name] ?? null),
    rowMode: "array",
  });
  return JSON.parse((rows[0] as [string])[0]) as TextRow;
}

/** As `normalise` does for one: a row of each, and the text that it is read from. */
export async function normaliseAll(
  access: RowAccess,
  table: CapturedTable,
  rows: readonly TextRow[],
): Promise<{ readonly row: TextRow; readonly text: string }[]> {
  const alike = new Map<string, number[]>();
  for (const [at, row] of rows.entries()) {
    const columns = Object.keys(row).join("\0");
    alike.set(columns, [...(alike.get(columns) ?? []), at]);
  }
  const found = rows.map(() => ({ row: {} as TextRow, text: "{}" }));
  for (const places of alike.values()) {
    const names = Object.keys(rows[places[0] as number] as TextRow);
    if (names.length === 0) continue;
    const { text, values } = valuesIn(
      names.map((name, index) => ({
        column: columnNamed(table, name),
        as: `v${index}`,
        values: places.map((at) => rows[at]?.[name] ?? null),
      })),
    );
    const row = `select ${names.map((name, index) => `x.v${index} as ${ident(name)}`).join(", ")}`;
    const answer = await access.client.query({
      text: `with x as materialized (${text})
        select ord, ${access.hstore}.hstore_to_json((select ${access.hstore}.hstore(r.*) from (${row}) as r))::text from x`,
      values,
      rowMode: "array",
    });
    for (const [ordinal, printed] of answer.rows as [string, string][]) {
      found[places[Number(ordinal) - 1] as number] = { row: JSON.parse(printed) as TextRow, text: printed };
    }
  }
  return found;
}

/** The canonical JSON text of a key: what the change log's `key` prints as. */
export async function keyText(access: RowAccess, table: CapturedTable, key: TextRow): Promise<string> {
  const casts = table.key.map((name, index) => `${typed(`$${index + 1}::text`, columnNamed(table, name))} as ${ident(name)}`);
  const { rows } = await access.client.query({
    text: `select ${access.hstore}.hstore_to_json(${access.hstore}.hstore(r.*))::text from (select ${casts.join(", ")}) as r`,
    values: keyValues(table, key),
    rowMode: "array",
  });
  return (rows[0] as [string])[0];
}

/** False when a row with that key is there after all (a concurrent insert). */
export async function insertRow(access: RowAccess, table: CapturedTable, row: TextRow): Promise<boolean> {
  const names = Object.keys(row);
  const result = await access.client.query({
    text: `insert into ${table.sql} (${names.map(ident).join(", ")}) overriding system value
      select ${names.map((name, index) => typed(`$${index + 1}::text`, columnNamed(table, name))).join(", ")}
      on conflict (${table.key.map(ident).join(", ")}) do nothing`,
    values: names.map((name) => row[name] ?? null),
  });
  return result.rowCount === 1;
}

export async function updateRow(access: RowAccess, table: CapturedTable, key: TextRow, values: TextRow): Promise<void> {
  const names = Object.keys(values);
  if (names.length === 0) return;
  const sets = names.map((name, index) => `${ident(name)} = ${typed(`$${index + 1}::text`, columnNamed(table, name))}`);
  await access.client.query({
    text: `update ${table.sql} as t set ${sets.join(", ")} where ${keyWhere(table, names.length + 1)}`,
    values: [...names.map((name) => values[name] ?? null), ...keyValues(table, key)],
  });
}

export async function deleteRow(access: RowAccess, table: CapturedTable, key: TextRow): Promise<void> {
  await access.client.query({ text: `delete from ${table.sql} as t where ${keyWhere(table)}`, values: keyValues(table, key) });
}

/** Brings the locked row from `current` to `wanted`; columns that `wanted` lacks stay. Nothing is written when nothing differs. */
export async function bringTo(
  access: RowAccess,
  table: CapturedTable,
  key: TextRow,
  current: TextRow | null,
  wanted: TextRow | null,
): Promise<boolean> {
  if (wanted === null) {
    if (current !== null) await deleteRow(access, table, key);
    return true;
  }
  if (current === null) return insertRow(access, table, { ...wanted, ...key });
  const differing: TextRow = {};
  for (const name in wanted) if (wanted[name] !== current[name]) differing[name] = wanted[name] as string | null;
  await updateRow(access, table, key, differing);
  return true;
}
