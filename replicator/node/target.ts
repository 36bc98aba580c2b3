import type { ChannelName, Epoch, NodeName, PacketNumber, Position, ScopeNumber, TableName } from "../change/names.ts";
import type { Packet, PacketHeader, Receipt } from "../change/packet.ts";
import type { Engine, TableShape } from "../change/shape.ts";
import type { ConflictRule, Judge } from "../change/verdict.ts";

export type PeerRole = "parent" | "child";

/** What a node remembers of what it received from a neighbour. */
export interface PeerState {
  readonly epoch: Epoch | null;
  /** The last packet applied; 0 and "" when there was none. */
  readonly number: PacketNumber;
  readonly digest: string;
  readonly channels: ReadonlyMap<ChannelName, ChannelProgress>;
  /** `PacketHeader.seen` of the last packet about each channel. */
  readonly seen: PacketHeader["seen"];
  /** Tables that have been started or filled. */
  readonly tables: ReadonlySet<TableName>;
  /** Where this node's own log stood when a table was started: what it says of the table after that, the peer may have to be told. */
  readonly startedAt: ReadonlyMap<TableName, Position>;
  /** Of tables of which this node is given some rows only: by which of the peer's scopes it was last filled. */
  readonly scopes: ReadonlyMap<TableName, ScopeNumber>;
  /** Nothing flows: a person wants it so, or a full sync of the two is being handed over. */
  readonly paused: boolean;
  /** Changes of this peer are parked here. */
  readonly hasParked: boolean;
  /** `Receipt.wanted` of the last packet, and of parked changes since: to be asked for again after a crash. */
  readonly wanted: Receipt["wanted"];
}

export interface ChannelProgress {
  /** Everything up to here has been applied, in positions of the neighbour. */
  readonly position: Position;
  /** Tables that were filled or started later than `position` and have nothing to read before theirs. */
  readonly ahead: ReadonlyMap<TableName, Position>;
}

/** How one table of the packet is treated here. */
export interface TableRule extends ConflictRule {
  readonly table: TableName;
  readonly channel: ChannelName;
  /** True when this node's own changes of the table never travel to the source: then nothing waits for a verdict, and the packet is obeyed. */
  readonly oneWay?: boolean;
}

export interface ApplyContext {
  /** What the *source* of the packet is to this node: a packet from a child is judged, one from the parent is obeyed. */
  readonly from: PeerRole;
  readonly rules: ReadonlyMap<TableName, TableRule>;
  readonly judge: Judge;
  /** Of a packet from the parent: whether it has changes of this node set aside. Not to know is as if it had. */
  readonly parkedAtSource?: boolean;
  /** Of a full sync: whose rows are taken over. The packet is obeyed all the same. */
  readonly taken?: PeerRole;
  /** Of a full sync, whose packet is in this node's own form: the source's engine, in whose form keys are that it is asked for. */
  readonly asked?: Engine;
  /** Of a full sync: channels all of whose tables it brings, so that they stand at its tick. */
  readonly wholeChannels?: readonly ChannelName[];
  /** The source's clock minus this node's clock, milliseconds; null when it is beyond what may be corrected. */
  readonly clockOffsetMs: number | null;
  /** This node's clock now, milliseconds since 1970. */
  readonly nowMs: number;
  /** Told how long each part took, of how many changes. */
  readonly onPart?: (changes: number, ms: number) => void;
}

export interface RetryOptions {
  /** The peer's shapes today: a change may have columns that the peer captured before they were installed, and so before its packets' shapes had them. */
  readonly now?: readonly TableShape[];
  /** All of them, whenever they were tried last. */
  readonly all?: boolean;
  /** Only these. */
  readonly only?: readonly bigint[];
}

/** The receiving side of a node. */
export interface Target {
  /** Makes sure that the neighbours are known, each with its role, and that what is applied from one is logged for the others. Idempotent. */
  meet(peers: readonly { readonly name: NodeName; readonly role: PeerRole }[]): Promise<void>;

  peer(name: NodeName): Promise<PeerState>;

  /** Records that the peer's tables are read from `position` on (the answer of its `TableReader.seed`). Idempotent. Throws `PACKET_FORK` (operator) for another position than before. */
  start(peer: NodeName, channel: ChannelName, tables: readonly TableName[], position: Position): Promise<void>;

  /**
   * Applies a packet in one transaction, with conflict history, log entries for other readers, parked changes, and the
   * peer's progress. Exactly once: a packet with the number and digest of the last one is answered with its receipt; another
   * digest is `PACKET_FORK` (operator), a gap is `PACKET_GAP` (retry: read the peer's state anew), another epoch `PEER_EPOCH`
   * (operator). One call per peer at a time; a second one waits.
   *
   * From a child: a change whose base is still the parent's applies; others go to `judge`. From the parent: a change applies
   * unless this node has changed the same columns since `header.seen`. Where this node's own change of the same columns was judged
   * between the last packet and this one (the log between the two `seen`), the packet cannot tell which came last: the row is asked
   * for (`Receipt.wanted`) instead. So the log is kept back to the last packet's `seen`. A change that the database refuses is parked with
   * what depends on it, and a later change of its row is tried as the net of the two; the others apply. No bystander row is ever removed to make room. A
   * child's change outside of the scopes that this node keeps for it (see `Scopes`) is not applied: it goes to the conflict history, and the child is
   * sent its row as it is given to it.
   */
  apply(packet: Packet, context: ApplyContext): Promise<Receipt>;

  /** Tries parked changes of a peer again: those that are due, unless the options say which. Answers how many went through. */
  retryParked(peer: NodeName, context: ApplyContext, options?: RetryOptions): Promise<number>;
}
