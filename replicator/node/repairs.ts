import type { NodeName } from "../change/names.ts";
import type { Row, RowText } from "../change/value.ts";
import type { ConflictKind } from "../change/verdict.ts";
import type { DigestTable, KeyText } from "./digest.ts";

/** A version of a row that gives way to the other node's, for the conflict history of the parent. Rows as far as they are known in its terms. */
export interface DiscardedVersion {
  /** As the parent digests it. */
  readonly table: DigestTable;
  readonly key: KeyText;
  readonly kind: ConflictKind;
  readonly resolution: "parent" | "child";
  readonly parentRow: Row | null;
  readonly childRow: Row | null;
  /** Microseconds since 1970; null where the logs do not tell. */
  readonly parentChangedAt: number | null;
  readonly childChangedAt: number | null;
}

/** A row that a child offers its parent. */
export interface OfferedRow {
  /** As the child digests it. */
  readonly table: DigestTable;
  readonly key: KeyText;
  /** The parent's row as it was compared, canonical; null where it has none. Where it is another one by then, the two are judged as any conflict. */
  readonly expected: readonly (string | null)[] | null;
  /** When the child's row became what it is, microseconds since 1970; now where it is not known. */
  readonly changedAt: number | null;
}

/** Who repairs, for the history. */
export interface RepairedBy {
  readonly child: NodeName;
  /** e.g. `reconcile nightly`. */
  readonly who: string;
  readonly reason: string;
}

/**
 * Ways to bring a row of two nodes together that goes through their logs like any other change, so that nothing is overwritten that has changed meanwhile,
 * and nobody is told of a repair but the node that needs it.
 */
export interface Repairs {
  /** At a parent: puts its rows, or their absence, into the log as refreshes for the child, and what the child loses by that into the history. One transaction. */
  overrule(
    rows: readonly { readonly table: DigestTable; readonly key: KeyText }[],
    discarded: readonly DiscardedVersion[],
    by: RepairedBy,
  ): Promise<void>;

  /** At a parent: writes down what it is about to lose. */
  record(discarded: readonly DiscardedVersion[], by: RepairedBy): Promise<void>;

  /** At a child: puts its rows into the log as changes of the parent's, for the parent alone. Rows that are gone are left out. */
  offer(parent: NodeName, rows: readonly OfferedRow[]): Promise<void>;

  /** When these rows were last changed, microseconds since 1970, as far as the log tells. Keys as `FoundRow.key` gives them. */
  lastChanged(table: DigestTable, keys: readonly RowText[]): Promise<readonly (number | null)[]>;
}

/** Rows of one transaction: their locks are held until it ends. */
export const REPAIR_ROWS = 200;
