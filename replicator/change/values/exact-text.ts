import type { Value } from "../value.ts";

/** A SQLite value with its storage class as one text: `'` before TEXT, `r` before REAL, `x` before the digits of a BLOB, INTEGER as its digits. */
export function exactText(value: Value): string | null {
  if (value === null) return null;
  if (typeof value === "string") return `'${value}`;
  if ("i" in value) return value.i;
  return "r" in value ? `r${value.r}` : `x${value.b}`;
}

/** The value of a text that `exactText` made. */
export function exactValue(text: string | null): Value {
  if (text === null) return null;
  const rest = text.slice(1);
  switch (text[0]) {
    case "'":
      return rest;
    case "r":
      return { r: rest };
    case "x":
      return { b: rest };
    default:
      return { i: text };
  }
}
