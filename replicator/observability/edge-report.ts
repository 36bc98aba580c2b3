import type { NodeName } from "../change/names.ts";
import type { FullSyncRun } from "../node/full-sync-runs.ts";
import type { NodeStatus } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import type { Topology } from "../topology/topology.ts";
import { type FullSyncReport, fullSyncReport } from "./full-sync-report.ts";

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
  readonly pending_changes: number | null;
  readonly packets_sent: string;
  readonly packets_received: string;
  readonly conflicts_open: number;
  readonly parked_changes: number;
  readonly clock_offset_ms: number | null;
  /** What it was asked to do when it next comes, and has not begun. */
  readonly asked: readonly AskedReport[];
  /** The newest full sync that filled it, where it is among the last ones of its parent. */
  readonly full_sync: FullSyncReport | null;
}

export interface AskedReport {
  readonly what: "full_sync" | "reconcile";
  /** As its records count it. */
  readonly run: string;
  /** RFC 3339, UTC. */
  readonly since: string;
  /** Of a full sync: which way; of a comparison: what becomes of what differs. */
  readonly how: string;
}

export interface Wanted {
  readonly fullSyncs: ReadonlyMap<NodeName, FullSyncRun>;
  readonly reconciles: ReadonlyMap<NodeName, ReconcileRun>;
}

/** What the edges of a node are wanted to do. */
export async function wantedOfEdges({ copies, reconciles }: Pick<Node, "copies" | "reconciles">): Promise<Wanted> {
  const [fullSyncs, compares] = await Promise.all([copies.runs.requested(), reconciles.requested()]);
  return { fullSyncs, reconciles: compares };
}

function askedOf(edge: NodeName, { fullSyncs, reconciles }: Wanted): readonly AskedReport[] {
  const [fill, compare] = [fullSyncs.get(edge), reconciles.get(edge)];
  return [
    ...(fill === undefined ? [] : [{ what: "full_sync", run: fill.id.toString(), since: fill.startedAt, how: fill.direction } as const]),
    ...(compare === undefined
      ? []
      : [{ what: "reconcile", run: compare.id.toString(), since: compare.startedAt, how: compare.repair } as const]),
  ];
}

/** The children of a node that are no nodes of the topology: edges of its groups. */
export const edgeReports = (
  topology: Topology,
  parent: NodeName,
  { status, wanted }: { readonly status: Pick<NodeStatus, "peers" | "fullSyncs">; readonly wanted: Wanted },
): readonly EdgeReport[] => {
  const known = new Set(topology.nodes.map(({ name }) => name));
  const filled = (status.fullSyncs ?? []).filter(({ side, state }) => side === "source" && state !== "requested");
  return status.peers
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
      asked: askedOf(peer.name, wanted),
      full_sync: fullSyncReport(
        filled.find((run) => run.peer === peer.name),
        parent,
      ),
    }));
};
