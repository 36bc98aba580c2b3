import type { Column } from "../../change/shape.ts";
import { type Row, sameValue, type Value } from "../../change/value.ts";
import { type ColumnKind, columnKind } from "../../change/values/affinity.ts";
import { valueRefused } from "../conflict-errors.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import { type Bindable, boundValue, keyCondition, prepared, type RowTable, stored } from "./rows.ts";

/**
 * The columns of the row that are not what the history says a conflict left behind; empty where the row came or went, null where
 * nothing has changed.
 */
export function changedSince(
  connection: Connection,
  table: RowTable & { readonly strict: boolean },
  row: { readonly key: readonly Bindable[]; readonly left: Row | null; readonly now: Row | null },
): readonly string[] | null {
  const { key, left, now } = row;
  if (left === null || now === null) return left === now ? null : [];
  const changed = table.columns.filter((column) => {
    const value = left[column.name];
    if (value === undefined || sameValue(value, now[column.name])) return false;
    return !becameSo(connection, table, { key, column, value });
  });
  return changed.length === 0 ? null : changed.map(({ name }) => name);
}

/** Whether the column's affinity made of the value what the row holds. */
function becameSo(
  connection: Connection,
  table: RowTable & { readonly strict: boolean },
  cell: { readonly key: readonly Bindable[]; readonly column: Column; readonly value: Value },
): boolean {
  if (columnKind(cell.column.type, table.strict) === "none") return false;
  const name = quote(cell.column.name);
  const sql = `select ${name} is ? collate binary from ${quote(table.local)} where ${keyCondition(table)}`;
  return (
    prepared(connection, sql)
      .pluck()
      .get(stored(cell.value), ...cell.key) === 1n
  );
}

const HEX = /^\\x((?:[0-9a-fA-F]{2})*)$/;
const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/;
const BIGGEST = 2n ** 63n;

/**
 * The value that a person means by a text, for a column whose rows have held `before`: bytes as `\x00ff` where there were blobs or the
 * column is made for them, a number where there were numbers and no affinity would make it one. Throws `CONFLICT_REFUSED` for a text in a
 * column that is declared for numbers: SQLite would keep it, and whoever reads the column would stumble.
 */
export function valueOfText(text: string | null, column: Column, strict: boolean, before: readonly Value[]): Value {
  if (text === null) return null;
  const kind = columnKind(column.type, strict);
  const [, hex] = HEX.exec(text) ?? [];
  const held = (test: (value: Value) => boolean): boolean => before.some(test);
  if (hex !== undefined && (/blob/i.test(column.type) || held((value) => isObject(value) && "b" in value))) return { b: hex.toLowerCase() };
  if (kind === "none") return untyped(text, held);
  if (forNumbers(kind, column.type) && !NUMBER.test(text) && !held((value) => typeof value === "string")) {
    throw valueRefused(column.name, column.type, "it is no number");
  }
  return text;
}

/** Nothing but what the column has held tells what the text is to be. */
function untyped(text: string, held: (test: (value: Value) => boolean) => boolean): Value {
  const integer = INTEGER.test(text) ? BigInt(text) : null;
  const fits = integer !== null && integer >= -BIGGEST && integer < BIGGEST;
  if (fits && held((value) => isObject(value) && "i" in value)) return { i: integer.toString() };
  if (NUMBER.test(text) && held((value) => isObject(value) && "r" in value)) return boundValue(Number(text));
  return text;
}

const isObject = (value: Value): value is Exclude<Value, null | string> => typeof value === "object" && value !== null;

/** Many columns of numeric affinity hold texts, such as DATETIME and JSON; these do not. */
const forNumbers = (kind: ColumnKind, declared: string): boolean =>
  kind === "real" || kind === "strict_real" || kind === "strict_integer" || (kind === "number" && /int|num|dec/i.test(declared));
