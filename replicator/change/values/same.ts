import type { Value } from "../value.ts";

/**
 * True when two values are stored alike in SQLite: same storage class, same content. Unlike `sameValue` it looks through the
 * spelling of a REAL (`1e300`, `1.0e+300`) and of BLOB digits. For values of SQLite nodes.
 */
export function sameStored(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a === "string" || typeof b === "string") return false;
  if ("i" in a) return "i" in b && a.i === b.i;
  if ("r" in a) return "r" in b && Object.is(realOf(a.r), realOf(b.r));
  return "b" in b && (a.b === b.b || a.b.toLowerCase() === b.b.toLowerCase());
}

/** The double of a `{ r }`; SQLite's own printing of the infinities (`Inf`) is understood too. */
export function realOf(text: string): number {
  if (text === "Inf" || text === "+Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}
