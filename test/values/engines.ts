import type Database from "better-sqlite3";
import { TomboloError } from "../../replicator/change/error.ts";
import type { Column } from "../../replicator/change/shape.ts";
import type { Value } from "../../replicator/change/value.ts";
import type { Bindable } from "../../replicator/change/values/storage.ts";

/** SQLite columns of every kind, some kinds under several of the names that applications use. */
export const SQLITE_COLUMNS: readonly { readonly type: string; readonly strict: boolean }[] = [
  ...[
    "INTEGER",
    "NUMERIC",
    "DECIMAL(10,2)",
    "BOOLEAN",
    "DATETIME",
    "STRING",
    "REAL",
    "DOUBLE PRECISION",
    "TEXT",
    "VARCHAR(255)",
    "BLOB",
    "",
  ].map((type) => ({
    type,
    strict: false,
  })),
  ...["INTEGER", "REAL", "TEXT", "BLOB", "ANY"].map((type) => ({ type, strict: true })),
];

/** A table with one column `v` of the type. */
export function sqliteTable(database: Database.Database, name: string, type: string, strict: boolean): (bound: Bindable) => Value {
  database.exec(`create table "${name}" (id integer primary key, v ${type})${strict ? " strict" : ""}`);
  const insert = database.prepare(`insert into "${name}" (v) values (?)`);
  const read = database.prepare(`select typeof(v) as class, v from "${name}" where id = ?`);
  return (bound) => {
    const { lastInsertRowid } = insert.run(bound);
    return storedValue(read.get(lastInsertRowid) as Stored);
  };
}

interface Stored {
  readonly class: string;
  readonly v: unknown;
}

/** A stored value as a SQLite node sends it. */
export function storedValue(row: Stored): Value {
  switch (row.class) {
    case "integer":
      return { i: String(row.v) };
    case "real":
      return { r: Object.is(row.v, -0) ? "-0" : String(row.v) };
    case "blob":
      return { b: (row.v as Buffer).toString("hex") };
    case "text":
      return row.v as string;
    default:
      return null;
  }
}

export const column = (type: string, base?: string): Column => ({
  name: "v",
  type,
  notNull: false,
  ...(base === undefined ? {} : { base }),
});

/** The result, or "refused" for `VALUE_REFUSED`; any other error is one. */
export function orRefused<T>(convert: () => T): T | "refused" {
  try {
    return convert();
  } catch (error) {
    if (error instanceof TomboloError && error.code === "VALUE_REFUSED" && error.kind === "operator") return "refused";
    throw error;
  }
}
