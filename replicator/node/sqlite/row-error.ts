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

const ROW_CODES = new Set(["VALUE_REFUSED", "COLUMN_MISSING", "TABLE_MISSING", "FOREIGN_KEY_VIOLATION"]);

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

export const isUniqueViolation = (error: unknown): boolean => CODES[sqliteCode(error)] === "UNIQUE_VIOLATION";

/** Code and reason for a person: which rule refused it (SQLite names the columns), never the values. */
export function describe(error: unknown): { code: string; reason: string } {
  if (error instanceof TomboloError) return { code: error.code, reason: error.message };
  const code = sqliteCode(error);
  const message = error instanceof Error ? error.message : "";
  return { code: CODES[code] ?? (code.startsWith("SQLITE_CONSTRAINT") ? "CONSTRAINT_VIOLATION" : code), reason: message };
}
