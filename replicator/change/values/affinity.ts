/**
 * How a SQLite column treats what is put into it. `number` is INTEGER and NUMERIC affinity (they store alike), `none` is
 * BLOB affinity and STRICT `ANY`: whatever comes stays as it is. The `strict_` ones refuse what does not fit after affinity.
 */
export type ColumnKind = "number" | "real" | "text" | "none" | "strict_integer" | "strict_real" | "strict_text" | "strict_blob";

const STRICT_KINDS: { readonly [declared: string]: ColumnKind } = {
  INT: "strict_integer",
  INTEGER: "strict_integer",
  REAL: "strict_real",
  TEXT: "strict_text",
  BLOB: "strict_blob",
  ANY: "none",
};

/**
 * The kind of a column from its declared type, by the five rules of https://www.sqlite.org/datatype3.html (section 3.1),
 * in their order: `POINT` and `INTERVAL` contain INT, `STRING`, `ANY`, `JSON` and `DATETIME` match nothing and are numeric.
 */
export function columnKind(declaredType: string, strict: boolean): ColumnKind {
  const type = asciiUpper(declaredType);
  if (strict) return STRICT_KINDS[type] ?? "none";
  if (type.includes("INT")) return "number";
  if (type.includes("CHAR") || type.includes("CLOB") || type.includes("TEXT")) return "text";
  if (type === "" || type.includes("BLOB")) return "none";
  if (type.includes("REAL") || type.includes("FLOA") || type.includes("DOUB")) return "real";
  return "number";
}

/**
 * True when a column certainly turns text like `7` into a number, so that a number found there may be the text of a text type.
 * Not so for `ANY`, which is numeric in an ordinary table and keeps everything in a STRICT one: a shape does not tell which.
 */
export function numbersMayBeText(declaredType: string): boolean {
  const kind = columnKind(declaredType, false);
  return (kind === "number" || kind === "real") && asciiUpper(declaredType) !== "ANY";
}

/** SQLite folds ASCII only: a Turkish dotless i must not become an I here. */
const asciiUpper = (text: string): string => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
