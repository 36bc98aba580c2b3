export type Engine = "postgres" | "sqlite";

/** The one table of the benchmark; about 80 bytes a row. Row 0 is the marker: it is written last and awaited at the target. */
export const POSTGRES_TABLE = "create table bench (id bigint primary key, customer text, amount numeric(12,2), at timestamptz, note text)";
/** Money as text: a decimal would become a binary float in SQLite. */
export const SQLITE_TABLE = "create table bench (id integer primary key, customer text, amount text, at text, note text)";

export const MARKER_ID = 0;

export interface Digest {
  readonly rows: number;
  /** Of every value of every row in the order of the key; the same whatever the engine. */
  readonly sha256: string;
}

/** A database with the table `bench`, as an observer sees it: it never writes. */
export interface Store {
  readonly engine: Engine;
  /** A URL (with its password) or the path of a file. */
  readonly location: string;
  /** What the marker says; null without one. One look-up by key. */
  marker(): Promise<string | null>;
  /** Ids of rows beyond `id`, ascending. */
  idsAfter(id: number): Promise<readonly number[]>;
  digest(): Promise<Digest>;
  close(): Promise<void>;
}
