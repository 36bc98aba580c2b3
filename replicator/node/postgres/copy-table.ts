import type pg from "pg";
import type { Column } from "../../change/shape.ts";
import type { CopiedTable } from "../full-copy.ts";
import type { PostgresTarget } from "./apply.ts";
import type { CapturedTable, CapturedTables } from "./captured-tables.ts";

export interface StageAccess {
  readonly pool: pg.Pool;
  readonly tables: CapturedTables;
  readonly target: PostgresTarget;
  readonly hstore: string;
  readonly gate: { complete(): Promise<void> };
  /** Who runs the full sync. */
  readonly holder: string;
}

/** A table here, and where the rows of a full sync wait for it. */
export interface StagedTable {
  readonly copied: CopiedTable;
  readonly table: CapturedTable;
  /** Quoted and qualified. */
  readonly relation: string;
  /** In the order in which they are copied, as they are here. */
  readonly columns: readonly Column[];
}
