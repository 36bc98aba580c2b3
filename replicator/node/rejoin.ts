import { TomboloError } from "../change/error.ts";
import type { ChannelName, Epoch, NodeName, PacketNumber, Position, TableName } from "../change/names.ts";

/** What a node has kept of its exchange with a neighbour. */
export interface PeerMarks {
  /** Of the neighbour's log, by channel: how far it was applied here. */
  readonly received: ReadonlyMap<ChannelName, Position>;
  /** `Tick.sealedAs` of these positions, where it is known. */
  readonly sealed: ReadonlyMap<ChannelName, string>;
  /** Of this node's log, by channel: how far the neighbour has acknowledged it. */
  readonly sent: ReadonlyMap<ChannelName, Position>;
  /** The last packet from the neighbour; and the last to it that it is known to have committed. */
  readonly receivedPacket: PacketNumber;
  readonly sentPacket: PacketNumber;
  /** Of this node's log, by table: from where on the neighbour is to read it (see `TableReader.seed`). */
  readonly seeded: ReadonlyMap<TableName, Position>;
  /** This node keeps its log for it no longer: it has to be filled anew. */
  readonly mustResync: boolean;
}

/** From where on two nodes that begin anew go on. */
export interface Restart {
  readonly received: ReadonlyMap<ChannelName, Position>;
  readonly sent: ReadonlyMap<ChannelName, Position>;
  /** Of the neighbour's life from now on; its first packet tells it where this is missing. */
  readonly epoch?: Epoch;
  /** The last packet from the neighbour: the positions are of when it was that. */
  readonly receivedPacket?: PacketNumber;
}

/** How two nodes whose memories of each other no longer agree begin anew. */
export interface Rejoin {
  /** Null for a neighbour that is not known. */
  marks(peer: NodeName): Promise<PeerMarks | null>;

  /**
   * Whether the node's log was ever read up to there, as far as it still knows: it does for what lies behind the position that any neighbour has acknowledged.
   * `sealedAs`: and whether that is the same tick, and not another life's of the same number.
   */
  hasSealed(at: Position, sealedAs?: string): Promise<boolean>;

  /** Gives the node a new epoch, and takes the cluster and the database that it finds itself in for its own. */
  renew(): Promise<void>;

  /**
   * The packets of the two begin at 1 again, of whatever epoch, and go on from these positions; of the node's own log, from the first that it still reaches back
   * to. Nothing flows (state `snapshot`) until `resume`, or until a full sync of the two is handed over. Answers the positions in its own log. Throws `PACKET_GAP` (retry)
   * where another packet has come since `receivedPacket`.
   */
  restart(peer: NodeName, at: Restart): Promise<ReadonlyMap<ChannelName, Position>>;

  /** Ends `snapshot` and `must_resync`. */
  resume(peer: NodeName): Promise<void>;

  /** Forgets a neighbour, with its parked changes; the log is kept for it no longer. False where it is not known. */
  forget(peer: NodeName): Promise<boolean>;
}

export const begunAnew = (peer: NodeName): TomboloError =>
  new TomboloError(`what ${peer} was about to acknowledge is of before the two began anew`, {
    code: "PACKET_GAP",
    kind: "retry",
    hint: "Nothing; where they go on from is looked up again.",
  });

export const cameBetween = (peer: NodeName): TomboloError =>
  new TomboloError(`a packet of ${peer} has come before the two could begin anew`, {
    code: "PACKET_GAP",
    kind: "retry",
    hint: "Nothing; where they go on from is looked up again.",
  });
