import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import type { TokenDesk } from "../node/token-desk.ts";
import type { Topology } from "../topology/topology.ts";

const LOOK_EVERY_MS = 500;
/** Records of one name that are looked through for an edge's. */
const MOST_RUNS = 1_000;
const MOST_EDGES = 10_000;

export interface KnownEdge {
  readonly edge: NodeName;
  readonly parent: NodeName;
  readonly group: string;
}

/** Every edge that may come, with its parent. */
export async function edgesOf(topology: Topology, tokens: TokenDesk): Promise<readonly KnownEdge[]> {
  if (topology.groups.length === 0) return [];
  const parents = new Map(topology.groups.map(({ name, parent }) => [name, parent]));
  const edges = new Map<NodeName, KnownEdge>();
  for (const { kind, node, group } of await tokens.list({ role: "node", inForce: true, limit: MOST_EDGES })) {
    const parent = parents.get(group ?? "");
    if (kind === "token" && node !== null && group !== null && parent !== undefined) edges.set(node, { edge: node, parent, group });
  }
  return [...edges.values()];
}

/** Waits for what an edge that was asked to be compared makes of it; answers the record; null where that is gone. Aborted, it is given up. */
export async function followReconcile(
  parent: Node,
  asked: { readonly id: bigint; readonly name: string; readonly edge: NodeName },
  options: { readonly signal: AbortSignal; readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown> },
): Promise<ReconcileRun | null> {
  const { signal, sleep } = options;
  for (;;) {
    const runs = await parent.reconciles.runs({ name: asked.name, limit: MOST_RUNS });
    // in SQLite, the run that takes a wish up may have its number
    const run = runs.findLast(({ id, peer }) => peer === asked.edge && id >= asked.id);
    if (run === undefined || !isOpen(run)) return run ?? null;
    await sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) await parent.reconciles.cancel(run.id);
  }
}

/** Neither ended nor given up. */
export const isOpen = ({ state }: ReconcileRun): boolean => state === "requested" || state === "running";

/** Gives up all that an edge was asked to compare and has not, whoever asked for it: also what it is about. Answers what that was. */
export async function cancelReconciles(parent: Node, edge: NodeName, who: string): Promise<readonly ReconcileRun[]> {
  const open = (await parent.reconciles.runs({ limit: MOST_RUNS })).filter((run) => run.peer === edge && isOpen(run));
  for (const { id } of open) await cancelReconcile(parent, { id, edge, who });
  return open;
}

/** The same for one of them. */
export async function cancelReconcile(
  parent: Node,
  { id, edge, who }: { readonly id: bigint; readonly edge: NodeName; readonly who: string },
): Promise<void> {
  await parent.reconciles.cancel(id);
  await parent.audit.record({ who, what: "reconcile cancelled", details: { node: edge, run: id.toString() } });
}
