import Database from "better-sqlite3";
import { TomboloError } from "../../change/error.ts";

/** What a parked change says about why it waits. */
const CODES: { readonly [sqlite: string]: string } = {
  SQLITE_CONSTRAINT_UNIQUE: "UNIQUE_VIOLATION",
  SQLITE_CONSTRAINT_PRIMARYKEY: "UNIQUE_VIOLATION",
  SQLITE_CONSTRAINT_ROWID: "UNIQUE_VIOLATION",
  SQLITE_CONSTRAINT_FOREIGNKEY: "FOREIGN_KEY_VIOLATION",
  SQLITE_CONSTRAINT_CHECK: "CHECK_VIOLATION",
  SQLITE_CONSTRAINT_NOTNULL: "NOT_NULL_VIOLATION",
  SQLITE_CONSTRAINT_DATATYPE: "VALUE_REFUSED",
  SQLITE_CONSTRAINT_TRIGGER: "TRIGGER_REFUSED",
  SQLITE_TOOBIG: "VALUE_REFUSED",
  SQLITE_MISMATCH: "VALUE_REFUSED",
  SQLITE_RANGE: "VALUE_REFUSED",
};

const ROW_CODES = new Set(["VALUE_REFUSED", "COLUMN_MISSING", "TABLE_MISSING", "FOREIGN_KEY_VIOLATION", "FILTER_FAILED"]);

const sqliteCode = (error: unknown): string => (error instanceof Database.SqliteError ? error.code : "");

/**
 * Whether an error says that this row does not fit (the change is parked), rather than something about the whole transaction: a lock, a
 * full disk. Only constraints of ABORT leave the transaction as it was, which is what our statements ask for.
 */
export function isRowError(error: unknown): boolean {
  if (error instanceof TomboloError) return ROW_CODES.has(error.code);
  const code = sqliteCode(error);
  return code.startsWith("SQLITE_CONSTRAINT") || CODES[code] !== undefined;
}

/** Refusals that another change may clear away: a value that is handed on, a row that is still to come. */
export const mayPass = (error: unknown): boolean =>
  ["UNIQUE_VIOLATION", "FOREIGN_KEY_VIOLATION", "TRIGGER_REFUSED"].includes(codeOf(error));

/** What docs/errors.md calls it. */
export function codeOf(error: unknown): string {
  if (error instanceof TomboloError) return error.code;
  const code = sqliteCode(error);
  return CODES[code] ?? (code.startsWith("SQLITE_CONSTRAINT") ? "CONSTRAINT_VIOLATION" : code);
}
