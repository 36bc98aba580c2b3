import type { NodeName, TableName } from "./names.ts";
import type { Row } from "./value.ts";

/** How a table's conflicts are decided. `merge`, `manual` and `module` come with a later version. */
export type Policy = "parent_wins" | "child_wins" | "newest_wins";
/** Whether edits of different columns of one row are a conflict (`row`) or not (`column`). */
export type Detection = "column" | "row";
/** Named parent first: `update_delete` is "the parent updated, the child deleted". */
export type ConflictKind = "update_update" | "update_delete" | "delete_update" | "insert_insert" | "unique" | "foreign_key" | "check";
export type Resolution = "parent" | "child" | "merged";

/** A child's change that does not simply fit the parent's row, with all that is known about it. Values are in the parent's terms. */
export interface Clash {
  readonly table: TableName;
  readonly op: "I" | "U" | "D";
  /** The row as the child knew it before its change; null when it had none. Holds at least what the change carried. */
  readonly base: Row | null;
  /** The row as the child has it now; null after a delete. Whole where `wholeChild`. */
  readonly child: Row | null;
  /** False where columns that the child did not touch could not be reconstructed from the parent's log. */
  readonly wholeChild: boolean;
  /** The parent's row now, locked; null when there is none. */
  readonly parent: Row | null;
  /** The columns that the child changed (all of them for an insert or a delete). */
  readonly changed: readonly string[];
  /** When the parent's row was last changed, microseconds since 1970; null when its log no longer tells. */
  readonly parentChangedAt: number | null;
  /** When the child made its change, corrected to the parent's clock; null when the clocks are too far apart to compare. */
  readonly childChangedAt: number | null;
  readonly parentNode: NodeName;
  readonly childNode: NodeName;
  readonly policy: Policy;
  readonly detect: Detection;
}

export interface Verdict {
  /** What the parent's row is to be; null when there is to be none. Columns that are missing stay as they are. */
  readonly result: Row | null;
  /** What goes into the conflict history; null when the two sides turned out not to conflict. */
  readonly conflict: { readonly kind: ConflictKind; readonly resolution: Resolution; readonly reason: string } | null;
  /** True when the result is not what the child has, so that the child must be sent the row. */
  readonly refresh: boolean;
}

/** Pure: the same clash gets the same verdict, on every node and every run. */
export type Judge = (clash: Clash) => Verdict;
