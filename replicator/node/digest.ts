import type { TableName } from "../change/names.ts";
import type { RowsDigest } from "../change/row-digest.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { Column } from "../change/shape.ts";
import type { RowText } from "../change/value.ts";
import type { Tick } from "./change-log.ts";

/**
 * In which order the rows of a table are told. `key`: of its key, where both nodes sort keys alike (whole numbers, UUIDs), so that ranges are read through
 * the index. `hash`: of the digest of the key, which is the same everywhere, whatever the types and the collations.
 */
export type KeyOrder = "key" | "hash";

/**
 * The key of a row as both nodes tell it: a JSON array of the texts of its columns, in the order of `DigestTable.key`. Texts are canonical: what Postgres
 * prints; between two SQLite nodes a storage class and its value (see `exactText` of change/values/exact-text.ts).
 */
export type KeyText = string;

/**
 * Half-open: from `from` on, up to and without `to`; null has no end. In the order `key` these are `KeyText`s; in the order `hash` beginnings of key digests
 * (hex digits), compared byte by byte.
 */
export interface KeyRange {
  readonly from: string | null;
  readonly to: string | null;
}

export interface DigestColumn {
  /** As it is called here. */
  readonly name: string;
  /** The column of the Postgres node whose texts are canonical; null between two SQLite nodes. A Postgres node prints its own. */
  readonly like: Column | null;
}

/** A table as two nodes compare it: the same columns in the same order on both sides. */
export interface DigestTable {
  readonly table: TableName;
  readonly columns: readonly DigestColumn[];
  /** Names of the key's columns here, in an order that both sides share. */
  readonly key: readonly string[];
  readonly order: KeyOrder;
  /**
   * Digests of ranges and buckets are of the bytes that both servers send, and not of what they print, which takes twice as long. Rows whose bytes are equal print the same; others are
   * told apart by what they print, as ever. Only where both sides are of this version: whoever asks over HTTP may be older.
   */
  readonly asSent: boolean;
  /** The rows that are compared; null for all of them. Of this node's own SQL. */
  readonly filter: RowFilter | null;
}

export interface RangeDigest extends RowsDigest {
  readonly range: KeyRange;
}

export interface RowDigest {
  readonly key: KeyText;
  readonly digest: string;
}

/** A row as it is here. */
export interface FoundRow {
  /** Its key as this node's changes give it. */
  readonly key: RowText;
  readonly row: RowText;
  /** Canonical, in the order of `DigestTable.columns`; null where a value has no form at the other node. */
  readonly texts: readonly (string | null)[] | null;
}

/** Digests of tables, equal on two nodes exactly where their rows are. */
export interface Digests {
  /**
   * Takes a tick and opens the tables at exactly that cut. Writers are not held up. What is open holds a connection and a snapshot: close it. Throws
   * `TABLE_NOT_CAPTURED` (operator), and what a filter throws.
   */
  open(tables: readonly DigestTable[]): Promise<DigestSnapshot>;

  /**
   * What the digests would be if these texts had gone through the types of this node's columns: `007` is 7 for an integer. Null where
   * the database takes them for no row. SQLite has no types of that kind, and answers null.
   */
  normalised(table: DigestTable, rows: readonly (readonly (string | null)[])[]): Promise<readonly (string | null)[]>;
}

/** One call at a time. Of `table`, the index into the tables that were asked for. */
export interface DigestSnapshot {
  readonly tick: Tick;
  /** In the order `key`: at most `count` keys of the range, each `rows` rows behind the one before it, or its beginning. Fewer show that the range ends. */
  bounds(table: number, range: KeyRange, step: { readonly rows: number; readonly count: number }): Promise<readonly KeyText[]>;
  /** In the order `key`. */
  digests(table: number, ranges: readonly KeyRange[]): Promise<readonly RangeDigest[]>;
  /** In the order `hash`: the whole table in one pass, by the first `digits` (0 to 4) hex digits; buckets without a row are left out. */
  buckets(table: number, digits: number): Promise<readonly RangeDigest[]>;
  /** Every row of these ranges, in no particular order. */
  list(table: number, ranges: readonly KeyRange[]): Promise<readonly RowDigest[]>;
  /** The digests of these rows; null where there is no such row, or not among those that are compared. */
  digestsOf(table: number, keys: readonly KeyText[]): Promise<readonly (string | null)[]>;
  /** Null where there is no such row, or not among those that are compared. */
  rows(table: number, keys: readonly KeyText[]): Promise<readonly (FoundRow | null)[]>;
  close(): Promise<void>;
}
