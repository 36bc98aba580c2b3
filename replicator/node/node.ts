import type { NodeName } from "../change/names.ts";
import type { Engine } from "../change/shape.ts";
import type { ChangeLog } from "./change-log.ts";
import type { Installation } from "./installation.ts";
import type { TableReader } from "./table-reader.ts";
import type { Target } from "./target.ts";

/**
 * A database that holds replicated tables, behind one interface: a Postgres, a SQLite file, later a hub behind HTTP.
 * A link joins two of these and does not know which kind it holds.
 *
 * All methods of all parts may be called concurrently unless they say otherwise; every promise they make is kept in the
 * database, so that the process may die at any line.
 */
export interface Node {
  readonly name: NodeName;
  readonly engine: Engine;
  /** What a reader of this node's changes uses. */
  readonly log: ChangeLog;
  /** Whole tables at a position, for a fill. */
  readonly tables: TableReader;
  /** What a writer of changes to this node uses. */
  readonly target: Target;
  /** What Tombolo has put into the database, and what it would. */
  readonly installation: Installation;
  close(): Promise<void>;
}
