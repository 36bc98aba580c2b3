import type { NodeName } from "../change/names.ts";
import type { PeerStatus } from "../node/installation.ts";
import type { Topology } from "../topology/topology.ts";

/** An edge that its parent has met, as the parent sees it: whoever asks does not reach the edge itself. */
export interface EdgeReport {
  readonly edge: string;
  readonly parent: string;
  /** As in a link's report. */
  readonly state: string;
  readonly reason: string | null;
  /** When something last went down to it, and last came up from it. */
  readonly last_in: string | null;
  readonly last_out: string | null;
  /** Changes that wait to be fetched by it. */
  readonly pending_changes: number;
  readonly packets_sent: string;
  readonly packets_received: string;
  readonly conflicts_open: number;
  readonly parked_changes: number;
  readonly clock_offset_ms: number | null;
}

/** The children of a node that are no nodes of the topology: edges of its groups. */
export const edgeReports = (topology: Topology, parent: NodeName, peers: readonly PeerStatus[]): readonly EdgeReport[] => {
  const known = new Set(topology.nodes.map(({ name }) => name));
  return peers
    .filter(({ name, role }) => role === "child" && !known.has(name))
    .map((peer) => ({
      edge: peer.name,
      parent,
      state: peer.state,
      reason: peer.reason,
      last_in: peer.lastSyncOut,
      last_out: peer.lastSyncIn,
      pending_changes: peer.pendingChanges,
      packets_sent: peer.sentPacket.toString(),
      packets_received: peer.receivedPacket.toString(),
      conflicts_open: peer.openConflicts,
      parked_changes: peer.parkedChanges,
      clock_offset_ms: peer.clockOffsetMs,
    }));
};
