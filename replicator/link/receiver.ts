import type { PacketSizes } from "../change/packet-compression.ts";
import type { Node } from "../node/node.ts";
import type { ParkedDesk } from "../node/parked-desk.ts";
import type { PeerState, Target } from "../node/target.ts";

/**
 * Where a flow's packets go: a node of which this process has the database, or a relay that hands them on to another process (see relay.ts).
 */
export interface Receiver extends Pick<Node, "name" | "engine"> {
  readonly target: Pick<Target, "peer" | "start" | "apply" | "retryParked">;
  readonly parked: Pick<ParkedDesk, "refused">;
  /** Missing for a database. */
  readonly relayed?: Relayed;
}

/** What a relay cannot know yet, and what it knows better: its `target` answers as if all that it handed on had been applied. */
export interface Relayed {
  /** What the node itself has said that it committed. Only this may be acknowledged to the source. */
  confirmed(): PeerState;
  /** What the last packet came to on its way. */
  sizes(): Promise<PacketSizes>;
}
