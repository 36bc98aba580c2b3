import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import type { TokenDesk } from "../node/token-desk.ts";
import type { Topology } from "../topology/topology.ts";

const LOOK_EVERY_MS = 500;
/** Records of one name that are looked through for an edge's. */
const MOST_RUNS = 1_000;
const MOST_EDGES = 10_000;

/** Every edge that may come, with its parent. */
export async function edgesOf(
  topology: Topology,
  tokens: TokenDesk,
): Promise<readonly { readonly edge: NodeName; readonly parent: NodeName }[]> {
  if (topology.groups.length === 0) return [];
  const parents = new Map(topology.groups.map(({ name, parent }) => [name, parent]));
  const edges = new Map<NodeName, NodeName>();
  for (const { kind, node, group } of await tokens.list({ role: "node", inForce: true, limit: MOST_EDGES })) {
    const parent = parents.get(group ?? "");
    if (kind === "token" && node !== null && parent !== undefined) edges.set(node, parent);
  }
  return [...edges].map(([edge, parent]) => ({ edge, parent }));
}

/**
 * Waits for what an edge that was asked to be compared makes of it; answers the record. Null when the signal aborts: an edge that has not begun yet still does.
 */
export async function followReconcile(
  parent: Node,
  asked: { readonly id: bigint; readonly name: string; readonly edge: NodeName },
  options: { readonly signal: AbortSignal; readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown> },
): Promise<ReconcileRun | null> {
  while (!options.signal.aborted) {
    const runs = await parent.reconciles.runs({ name: asked.name, limit: MOST_RUNS });
    // in SQLite, the run that takes a wish up may have its number
    const done = runs.find(({ id, peer, state }) => peer === asked.edge && id >= asked.id && state !== "running" && state !== "requested");
    if (done !== undefined) return done;
    await options.sleep(LOOK_EVERY_MS, options.signal);
  }
  return null;
}
