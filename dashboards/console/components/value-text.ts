import type { Row } from "../api/desk-types.ts";

/** A value as people read it: texts as they are, a blob as `x'…'`; null for NULL. */
export function valueText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (typeof value === "object" && "b" in value) return `x'${String(value.b)}'`;
  return JSON.stringify(value);
}

/** `id 7, region north`: which row it is, on one line. */
export const keyText = (key: Row): string =>
  Object.entries(key)
    .map(([column, value]) => `${column} ${valueText(value) ?? "null"}`)
    .join(", ");

/** The columns of all these rows, in the order of the one that knows most. */
export function columnsOf(rows: readonly (Row | null)[]): readonly string[] {
  const known = rows.map((row) => Object.keys(row ?? {})).sort((a, b) => b.length - a.length);
  return [...new Set(known.flat())];
}
