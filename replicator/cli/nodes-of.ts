import type { NodeName } from "../change/names.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { Reached } from "../observability/status-report.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { type CommandContext, list, type VerbInput } from "./verb.ts";

/** The nodes that `--node` names, or all. Throws `NODE_UNKNOWN` (usage). */
export function chosenNodes(topology: Topology, input: VerbInput): readonly TopologyNode[] {
  const names = list(input, "node");
  return names.length === 0 ? topology.nodes : names.map((name) => nodeOf(topology, name));
}

/** Opens the nodes side by side, hands them over with the reasons of those that did not open, and closes them whatever happens. */
export async function withNodes<T>(
  context: CommandContext,
  configs: readonly TopologyNode[],
  use: (nodes: ReadonlyMap<NodeName, Reached>) => Promise<T>,
  openNode: (config: TopologyNode) => Promise<Node> = context.parts.openNode,
): Promise<T> {
  const open = async (config: TopologyNode): Promise<readonly [NodeName, Reached]> => {
    try {
      return [config.name, { node: await openNode(config) }];
    } catch (error) {
      return [config.name, { error }];
    }
  };
  const nodes = new Map(await Promise.all(configs.map(open)));
  try {
    return await use(nodes);
  } finally {
    const closing = [...nodes.values()].map((reached) => ("node" in reached ? reached.node.close() : undefined));
    await Promise.allSettled(closing);
  }
}

/** The node, or the error that kept it from opening, thrown. */
export function reachedNode(nodes: ReadonlyMap<NodeName, Reached>, name: NodeName): Node {
  const reached = nodes.get(name);
  if (reached !== undefined && "node" in reached) return reached.node;
  throw reached?.error;
}
