import type { Column, Engine } from "../change/shape.ts";
import type { Value } from "../change/value.ts";
import type { WantedTable } from "./installation.ts";

/** A column that travels, with what it takes to add one like it elsewhere. */
export interface PresentColumn extends Column {
  readonly engine: Engine;
  /**
   * What it holds in rows that were there when it was added, where that is one value for all of them: its default at that moment, or NULL. Undefined
   * where the database does not tell, or each row has its own.
   */
  readonly initial: Value | undefined;
  /** False where it was added since its table was last captured anew. */
  readonly captured: boolean;
}

/** The columns of an application's tables, and how others are added to them. */
export interface TableColumns {
  /** Of each of these tables; null where there is no such table. */
  of(wanted: readonly WantedTable[]): Promise<readonly (readonly PresentColumn[] | null)[]>;
  /**
   * Adds columns like those of another node, with its initial values, in one transaction; those that are there already stay as they are. Throws
   * `COLUMN_NOT_ADDED` (operator) where the database refuses, or has no type for one of them; then none is added.
   */
  add(wanted: WantedTable, columns: readonly PresentColumn[]): Promise<void>;
}
