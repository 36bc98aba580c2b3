import type { Change } from "./change.ts";
import type { ChannelName, Epoch, NodeName, PacketNumber, Position, ScopeNumber, TableName } from "./names.ts";
import type { TableShape } from "./shape.ts";

/**
 * A packet: what one node tells a neighbour about some channels between two of its positions; the unit that is numbered,
 * hashed, sent and applied in one transaction. It is a header, then parts (one or more groups of changes, in order), then
 * the digest. A large batch has many parts, so that neither side ever holds it whole.
 */
export interface PacketHeader {
  readonly protocol: 1;
  readonly source: NodeName;
  readonly target: NodeName;
  /** The source's epoch. */
  readonly epoch: Epoch;
  readonly number: PacketNumber;
  /** Digest of the packet before it (hex); "" before the first. Makes a chain: a restored or cloned node shows as a fork. */
  readonly previous: string;
  /**
   * `changes`: what the log holds in (after, upTo]. `fill`: tables as they are at `upTo`, in inserts; or, for a target that had some of
   * their rows, what makes it the rows of `scopes`: inserts and deletes.
   */
  readonly kind: "changes" | "fill";
  readonly channels: readonly ChannelName[];
  readonly after: Position;
  readonly upTo: Position;
  /** `Tick.sealedAs` of `upTo`. Is no part of the packet's bytes: between two ends that send those, what each has sent tells the same. */
  readonly sealedAs?: string;
  /** Changes refer to these by index. In a fill, exactly the tables that are filled. */
  readonly tables: readonly TableShape[];
  /**
   * Per channel: how much of the *target's* log the source had applied when `upTo` was sealed, in positions of the target.
   * The target's changes after it are still to be judged, and what the packet says about the same columns must wait for the verdict.
   * In a packet from a child it says which of the parent's changes the child knew; what the parent changed after it is concurrent.
   * Exact: stored with the tick. A channel that is missing was never received.
   */
  readonly seen: { readonly [channel: string]: Position };
  /** In a fill: of each of `tables`, in their order, the scope whose rows the target has then; null where that is every row. */
  readonly scopes?: readonly (ScopeNumber | null)[];
}

/** Net changes, at most one per key (apart from truncates, which end a part), in log order of their first. */
export type Part = readonly Change[];

/** A packet on its way to `Target.apply`. */
export interface Packet {
  readonly header: PacketHeader;
  /** May be consumed once. */
  readonly parts: AsyncIterable<Part>;
  /** Known once `parts` has been consumed to its end: SHA-256, hex, over header and parts. */
  digest(): string;
}

/** What the target did with a packet; stored with it, so that a repeated packet gets the same answer. */
export interface Receipt {
  readonly number: PacketNumber;
  readonly digest: string;
  /** True when this very packet had been applied before. */
  readonly duplicate: boolean;
  /** Changes that took effect, by operation. */
  readonly applied: {
    readonly insert: number;
    readonly update: number;
    readonly delete: number;
    readonly truncate: number;
    readonly refresh: number;
  };
  /** Conflicts decided, by table, kind and resolution. */
  readonly conflicts: readonly ConflictCount[];
  /** Changes set aside. */
  readonly parked: number;
  /** Rows that the target could not complete and wants refreshed: keys exactly as the packet's changes gave them (the source's terms). */
  readonly wanted: readonly { readonly table: TableName; readonly key: string }[];
}

export interface ConflictCount {
  readonly table: TableName;
  readonly kind: string;
  readonly resolution: string;
  readonly count: number;
}
