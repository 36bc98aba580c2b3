import type { Row, Value } from "../change/value.ts";

/** A row as JSON answers carry it: texts and nulls, numbers as texts with all their digits, blobs as `{"b": hex}`. */
export type RowJson = { readonly [column: string]: unknown };

export function rowJson(row: Row): RowJson;
export function rowJson(row: Row | null): RowJson | null;
export function rowJson(row: Row | null): RowJson | null {
  if (row === null) return null;
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, valueJson(value)]));
}

function valueJson(value: Value): unknown {
  if (value === null || typeof value === "string" || "b" in value) return value;
  return "i" in value ? value.i : realText(value.r);
}

/** A real is told from an integer, as SQLite prints it. */
export const realText = (real: string): string => (/^-?\d+$/.test(real) ? `${real}.0` : real);
