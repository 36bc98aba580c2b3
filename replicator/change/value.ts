/**
 * A column's value as it travels.
 *
 * - `null`: SQL NULL.
 * - a string: the text that Postgres prints for the value (ISO dates, UTC, hex bytea, shortest floats), or SQLite TEXT;
 * - `{ i }`: SQLite INTEGER, decimal digits; `{ r }`: SQLite REAL, the shortest text that reads back as the same double
 *   (`Infinity`, `-Infinity` included); `{ b }`: SQLite BLOB, lower-case hex.
 *
 * A Postgres node only ever sends strings and nulls; a SQLite node sends strings only for TEXT.
 */
export type Value = null | string | { readonly i: string } | { readonly r: string } | { readonly b: string };

/** Column name to value. Holds the columns that travel; which ones depends on the operation (see `Change`). */
export type Row = { readonly [column: string]: Value };

/** A row as JSON text. Rows stay text from the source's log to the target's statement unless someone must look inside. */
export type RowText = string;

export const parseRow = (text: RowText): Row => JSON.parse(text) as Row;
export const rowText = (row: Row): RowText => JSON.stringify(row);

/** True when both are the same value of the same storage class. */
export function sameValue(a: Value | undefined, b: Value | undefined): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if ("i" in a) return "i" in b && a.i === b.i;
  if ("r" in a) return "r" in b && a.r === b.r;
  return "b" in b && a.b === b.b;
}
