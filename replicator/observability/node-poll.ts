import type { Installation, NodeStatus } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { LagBook } from "./lag.ts";
import { type Metrics, setNodeStatus } from "./metrics.ts";

/** What is younger than this is on its way and no sign of a stuck link. */
const PENDING_GRACE_MS = 5_000;

export interface NodePollOptions {
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly now: () => number;
  /** The node's own state as its parent keeps it; null for the hub. */
  readonly stateAtParent: (node: string) => string | null;
}

/** Looks at one node and puts what it finds into the gauges. Throws what the database throws; the caller sets the node down. */
export async function pollNode(node: Node, options: NodePollOptions): Promise<NodeStatus> {
  const status = await node.installation.status();
  const drifted = await driftedTables(node.installation, status);
  const { metrics } = options;
  const label = { node: node.name };
  setNodeStatus(metrics, node.name, options.stateAtParent(node.name) ?? "live");
  metrics.logRows.set(label, status.logRows);
  metrics.logBytes.set(label, status.logBytes);
  metrics.conflictsOpen.set(label, status.openConflicts);
  metrics.parked.set(label, status.parkedChanges);
  metrics.drifted.set(label, drifted);
  metrics.clockOffset.set(label, status.identity.clockOffsetMs / 1000);
  for (const peer of status.peers) {
    metrics.lagChanges.set({ source: node.name, target: peer.name }, peer.pendingChanges);
    if (peer.pendingChanges > 0 && peer.oldestPendingAt !== null) {
      const oldestAt = peer.oldestPendingAt / 1000 - status.identity.clockOffsetMs;
      options.lag.of(node.name, peer.name).pending(oldestAt, options.now(), PENDING_GRACE_MS);
    }
  }
  return status;
}

/** Tables that `verify` finds changed now, and those that were marked before and still wait to be compared. */
async function driftedTables(installation: Installation, status: NodeStatus): Promise<number> {
  const drift = await installation.verify();
  const marked = status.tables.filter(({ state }) => state === "must_compare").map(({ table }) => table);
  return new Set([...drift.map(({ table }) => table), ...marked]).size;
}
