import type { ColumnKind } from "./affinity.ts";

/** What is bound to a statement; `number` binds a REAL, `bigint` an INTEGER (better-sqlite3 with safe integers). */
export type Bindable = null | string | bigint | number | Buffer;

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const TWO_63 = 2 ** 63;

export const isInt64 = (value: bigint): boolean => value >= INT64_MIN && value <= INT64_MAX;

/** What SQLite takes for a number when TEXT meets numeric affinity. */
const NUMBER_LIKE = /^[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[ \t\n\v\f\r]*$/;

/** True when a column of numeric affinity would turn this TEXT into a number. */
export function looksLikeNumber(text: string): boolean {
  // nearly every text is told by its first character: digit, sign, point, white space
  const first = text.charCodeAt(0);
  if (!((first >= 0x2b && first <= 0x39) || first === 0x20 || (first >= 9 && first <= 13))) return false;
  // SQLite reads up to the first NUL and ignores what follows
  const end = text.indexOf("\0");
  return NUMBER_LIKE.test(end < 0 ? text : text.slice(0, end));
}

/** True when a column of INTEGER or NUMERIC affinity stores this double as an INTEGER: whole and strictly within 64 bits. */
export const becomesInteger = (real: number): boolean => Number.isInteger(real) && real > -TWO_63 && real < TWO_63;

/**
 * True when a column of this kind stores `bound` as it is, with the same storage class and the same value; false when affinity
 * would change it or a STRICT column refuse it. Tested against SQLite itself (test/values/storage.test.ts).
 */
export function survives(bound: Bindable, kind: ColumnKind): boolean {
  if (bound === null) return true;
  const type = typeof bound;
  // SQLite has no NaN: it stores NULL
  if (type === "number" && Number.isNaN(bound)) return false;
  switch (kind) {
    case "none":
      return true;
    case "text":
      return type === "string" || type === "object";
    case "strict_text":
      return type === "string";
    case "strict_blob":
      return type === "object";
    case "number":
      if (type === "string") return !looksLikeNumber(bound as string);
      return type !== "number" || !becomesInteger(bound as number);
    case "real":
      if (type === "string") return !looksLikeNumber(bound as string);
      // a REAL column keeps whole doubles as integers on disk, and loses the sign of zero there
      return type === "object" || (type === "number" && !Object.is(bound, -0));
    case "strict_integer":
      return type === "bigint";
    case "strict_real":
      return type === "number" && !Object.is(bound, -0);
  }
}
