import { TomboloError } from "../../change/error.ts";

/**
 * SQLSTATE classes (and codes) that say that this row, or this table as it is now, does not take this change: the change is
 * parked. Everything else (connection, lock, resources, internal) concerns the whole transaction, which is rolled back and tried again.
 */
const ROW_CLASSES = new Set([
  "0A", // feature not supported
  "21", // cardinality violation
  "22", // data exception
  "23", // integrity constraint violation
  "27", // triggered data change violation
  "44", // with check option violation
  "54", // program limit exceeded, e.g. an index row that is too large
  "P0", // raise exception in an application's trigger
]);
const ROW_CODES = new Set([
  "42P01", // undefined table: dropped or renamed
  "42703", // undefined column
  "42501", // insufficient privilege
  "42804", // datatype mismatch: a column was retyped
  "42P10", // no unique key for on conflict: the key was dropped
]);

const OWN_CODES = new Set(["VALUE_REFUSED", "COLUMN_MISSING", "FOREIGN_KEY_VIOLATION"]);

export function isRowError(error: unknown): boolean {
  if (error instanceof TomboloError) return OWN_CODES.has(error.code);
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && code.length === 5 && (ROW_CLASSES.has(code.slice(0, 2)) || ROW_CODES.has(code));
}
