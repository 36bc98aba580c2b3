import type { TomboloError } from "../change/error.ts";
import type { NodeName, TableName } from "../change/names.ts";
import type { Row } from "../change/value.ts";
import type { ConflictKind, Resolution } from "../change/verdict.ts";

/** A row of the conflict history. Its rows are in the terms of the node that decided; those of base and child may lack columns. */
export interface ConflictRecord {
  readonly id: bigint;
  /** RFC 3339, UTC. */
  readonly detectedAt: string;
  readonly table: TableName;
  readonly key: Row;
  readonly kind: ConflictKind;
  readonly policy: string;
  readonly resolution: Resolution;
  readonly reason: string;
  /** The columns that both sides claim; null where it is the row as a whole. */
  readonly columns: readonly string[] | null;
  readonly parent: Row | null;
  readonly child: Row | null;
  readonly base: Row | null;
  readonly result: Row | null;
  readonly childNode: NodeName;
  readonly parentChangedAt: string | null;
  readonly childChangedAt: string | null;
  readonly status: "open" | "resolved";
  readonly resolvedBy: string | null;
  readonly resolvedAt: string | null;
}

export interface ConflictFilter {
  readonly table?: TableName;
  readonly childNode?: NodeName;
  readonly kind?: ConflictKind;
  readonly open?: boolean;
  /** RFC 3339; detected at or after, before. */
  readonly since?: string;
  readonly until?: string;
  /** Newest first; at most this many. */
  readonly limit: number;
  /** Only ids below it: the next page. */
  readonly before?: bigint;
}

/** A conflict and the row that it is about. */
export interface ShownConflict {
  readonly record: ConflictRecord;
  /** The row as it is now; null when there is none. */
  readonly now: Row | null;
  /** Why the row cannot be read, as when its table is no longer captured; null when it was. */
  readonly unreadable: TomboloError | null;
}

/** What a person wants the row to be. `set` names columns and their values as text (null for NULL); what it does not name stays. */
export type Decision = { readonly take: Taken } | { readonly set: { readonly [column: string]: string | null } };
export type Taken = "parent" | "child" | "base";

/** Who decides; goes into the history and the audit table. */
export interface DecidedBy {
  readonly who: string;
  /** Decide although the row has changed since. */
  readonly force: boolean;
}

/**
 * The conflicts that a node has decided as a parent, or left to a person.
 *
 * A decision is an ordinary write of this node: captured, and so replicated to all others, and judged by this node's own parent where
 * it has one. It is checked against the row as it is: where that is no longer what the conflict left behind, nothing is done unless it is
 * forced. What has been decided may be decided again.
 */
export interface ConflictDesk {
  list(filter: ConflictFilter): Promise<readonly ConflictRecord[]>;
  /** Null when there is no such conflict. */
  show(id: bigint): Promise<ShownConflict | null>;
  /**
   * `seen` is the record as whoever decides has it before them. Answers the record as it is then. Throws, with nothing done:
   * `CONFLICT_UNKNOWN` and `CONFLICT_COLUMN` (usage); `CONFLICT_DECIDED` (operator) when someone else has decided since it was seen;
   * `CONFLICT_ROW_CHANGED` (operator); `CONFLICT_INCOMPLETE` (operator) when the history does not hold the whole of a row that would be
   * needed; `CONFLICT_REFUSED` (operator) when the database refuses the row.
   */
  resolve(seen: ConflictRecord, decision: Decision, by: DecidedBy): Promise<ConflictRecord>;
  /**
   * Forgets some of what was resolved longer ago than this, by the clock that its times were taken from, in a short transaction; answers how many, 0 when there are
   * no more. Open ones stay.
   */
  forget(keepMs: number): Promise<number>;
}
