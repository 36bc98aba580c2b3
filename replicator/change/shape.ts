import type { ChannelName, TableName } from "./names.ts";

export type Engine = "postgres" | "sqlite";

/** One column that travels. */
export interface Column {
  readonly name: string;
  /** Postgres: `format_type()`, e.g. `numeric(10,2)`, `timestamp with time zone`, `shop.mood`. SQLite: the declared type, may be "". */
  readonly type: string;
  /** Postgres only: what the type comes down to once domains are unwrapped: `pg_type.typname`, e.g. `int8`, `_text`, `numeric`. */
  readonly base?: string;
  readonly notNull: boolean;
}

/** A foreign key: `columns` of a table refer to the columns `to` of another, or of the same. */
export interface Reference {
  readonly table: TableName;
  readonly columns: readonly string[];
  readonly to: readonly string[];
}

/** The shape of a table on one node, as far as its changes carry it: what a reader needs to understand a row. */
export interface TableShape {
  readonly table: TableName;
  readonly channel: ChannelName;
  readonly engine: Engine;
  /** Columns that travel, in table order; generated columns are left out. */
  readonly columns: readonly Column[];
  /** Names of the key columns, in key order. */
  readonly key: readonly string[];
  /** Its foreign keys to tables that travel too: the target may have none, and still must not take a row whose parent row it refused. */
  readonly references?: readonly Reference[];
  /** Hash over columns and key: a reader that sees another hash reads the shape anew. */
  readonly hash: string;
}
