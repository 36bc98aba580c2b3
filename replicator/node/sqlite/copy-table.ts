import type { CopiedTable } from "../full-copy.ts";
import type { SqliteTarget } from "./apply.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { DatabaseFile } from "./connection.ts";
import type { ColumnTarget } from "./incoming.ts";

export interface StageAccess {
  readonly file: DatabaseFile;
  readonly target: SqliteTarget;
  /** Who runs the full sync. */
  readonly holder: string;
}

/** A table here, and where the rows of a full sync wait for it. */
export interface StagedTable {
  readonly copied: CopiedTable;
  readonly table: CapturedTable;
  /** In the stage's file. */
  readonly relation: string;
  /** In the order in which they are copied, as they are here. */
  readonly columns: readonly ColumnTarget[];
  /** The same as they are declared. */
  readonly declared: readonly string[];
}
