import type { Engine, TableName } from "./tables.ts";

/** Rows of the table `bench` that are written last and awaited at the other end: by the writer at the source, and by one at the target. */
export const MARKER_ID = 0;
export const MARKER_BACK_ID = -1;

export interface Digest {
  readonly rows: number;
  /** Of every value of every row in the order of the key; the same whatever the engine. */
  readonly sha256: string;
}

/** A database with the benchmark's tables, as an observer sees it: it never writes. */
export interface Store {
  readonly engine: Engine;
  /** A URL (with its password) or the path of a file. */
  readonly location: string;
  /** What the marker of this id says; null without one. One look-up by key. */
  marker(id: number): Promise<string | null>;
  /** Ids of rows of `bench` beyond `id`, ascending. */
  idsAfter(id: number): Promise<readonly number[]>;
  digest(table: TableName): Promise<Digest>;
  close(): Promise<void>;
}
