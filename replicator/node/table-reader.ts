import type { Change } from "../change/change.ts";
import type { NodeName, Position, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { Tick } from "./change-log.ts";

/** Which rows of a table a fill tells of. */
export interface FillScope {
  /** Null: every row. */
  readonly rows: RowFilter | null;
  /**
   * What the peer had until now, null for every row: then only the difference is told, rows that it loses as deletes and rows that it gains as
   * inserts. `unknown`: nobody knows, so that its table is emptied first. Missing: it has not been filled before.
   */
  readonly had?: RowFilter | null | "unknown";
}

/** Tables as they are at one tick, for filling a peer. */
export interface TableReader {
  /**
   * Takes a tick and opens the tables at exactly that cut: what `rows` yields plus what the log holds after `tick` is the
   * whole truth, without hole or overlap. Writers are not held up. Referenced tables come before those that refer to them.
   */
  open(tables: readonly TableName[], scopes?: ReadonlyMap<TableName, FillScope>): Promise<TableSnapshot>;

  /**
   * Puts every row that the tables hold now into this node's own change log, as inserts for `peer`, so that a peer judges
   * them like any other change; answers the position to read them from (exclusive). For the same peer and table it is done
   * once: a repeated call answers the stored position.
   */
  seed(peer: NodeName, tables: readonly TableName[]): Promise<Position>;
}

export interface TableSnapshot {
  readonly tick: Tick;
  /** Every row, as inserts, or what `FillScope` says; `Change.table` is the index into the tables that were asked for. */
  rows(maxRows: number, maxBytes: number): AsyncIterable<readonly Change[]>;
  close(): Promise<void>;
}
