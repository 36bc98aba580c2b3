import type { Column, Engine } from "../shape.ts";
import { columnKind } from "./affinity.ts";
import type { Family } from "./mapping.ts";
import { type PostgresType, postgresType } from "./postgres-type.ts";

/** More digits than this a REAL may not read back as they were. */
const EXACT_DIGITS = 15;

const SQLITE_TYPES: { readonly [family in Family]: string } = {
  integer: "INTEGER",
  boolean: "INTEGER",
  float: "REAL",
  numeric: "TEXT",
  bytes: "BLOB",
  text: "TEXT",
  printed: "TEXT",
  other: "TEXT",
};

/**
 * The type for a column that shall hold all that a column of the other engine holds: see docs/values.md. A SQLite column without a type, or one that holds
 * whatever comes, has no such type in Postgres: text takes what text there is, and refuses the rest by the row.
 */
export function columnTypeFor(column: Column, from: Engine, to: Engine): string {
  if (from === to) return column.type;
  return to === "sqlite" ? sqliteTypeFor(postgresType(column)) : postgresTypeFor(column.type);
}

function sqliteTypeFor({ family, modifiers }: PostgresType): string {
  const [precision = Number.POSITIVE_INFINITY] = modifiers;
  return family === "numeric" && precision <= EXACT_DIGITS ? "NUMERIC" : SQLITE_TYPES[family];
}

function postgresTypeFor(declared: string): string {
  const type = declared.toUpperCase();
  if (type.includes("BOOL")) return "boolean";
  if (type.includes("BLOB")) return "bytea";
  if (type.includes("INT")) return "bigint";
  const kind = columnKind(declared, false);
  if (kind === "real") return "double precision";
  return kind === "number" && /NUM|DEC/.test(type) ? "numeric" : "text";
}
