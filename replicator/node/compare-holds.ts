import type { ChannelName, NodeName, Position, TableName } from "../change/names.ts";
import type { KeyText } from "./digest.ts";

/** Where the last comparison of a table began, as one of the two nodes keeps it. */
export interface CompareHold {
  /** In this node's log: the peer had applied everything up to it before the tables were read. */
  readonly position: Position;
  /** Rows that were left different, or undecided. */
  readonly left: readonly KeyText[];
  /** How the table was compared: see `CompareHolds.compared`. */
  readonly as: string;
}

/** Why a table cannot be compared by its changes alone. `first`: no comparison to go on from. */
export type NoHold = "first" | "log_not_kept" | "filled_anew" | "must_compare";

/**
 * From where on a node keeps its log, so that the next comparison with a neighbour can look at what has changed since the last one and leave out the rest. A hold
 * is good for as long as it says, and no longer than `log.keep` and `log.max_size` let it: what is not held may be purged at any moment, and nothing is read from there.
 */
export interface CompareHolds {
  /**
   * A comparison with the peer begins: the log is held from what the peer has of it now on, and from where the last comparison began, for as long as one
   * may take. Answers what there is to go on from. `run`: told to `compared`; where another one has begun meanwhile, that one counts.
   */
  begin(
    peer: NodeName,
    run: string,
    tables: readonly { readonly table: TableName; readonly channel: ChannelName }[],
  ): Promise<ReadonlyMap<TableName, CompareHold | NoHold>>;

  /** The tables of which the log is held from where the last comparison began. Asked once it was read: what is held now was not purged before. */
  held(peer: NodeName): Promise<ReadonlySet<TableName>>;

  /**
   * These tables were compared, as `as` tells (their shape, filter, the nodes' epochs): the next comparison goes on from where this one began, if it begins
   * within `forMs`. All others of the peer go on from where they did. Ends the comparison.
   */
  compared(
    peer: NodeName,
    run: string,
    tables: readonly { readonly table: TableName; readonly left: readonly KeyText[]; readonly as: string }[],
    forMs: number,
  ): Promise<void>;
}

/** A comparison takes no longer. */
export const LONGEST_RUN_MS = 24 * 3_600_000;

/** Whatever is asked for: the log is held no longer for a next comparison, which may never come. */
export const LONGEST_HOLD_MS = 8 * 24 * 3_600_000;
