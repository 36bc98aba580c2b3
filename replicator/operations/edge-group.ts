import { type NodeName, nodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { TokenDesk } from "../node/token-desk.ts";
import type { Topology, TopologyGroup } from "../topology/topology.ts";

/** Where edges are looked up. */
export interface EdgeWorld {
  readonly topology: Topology;
  /** Throws for a node that is away. */
  readonly reach: (name: NodeName) => Promise<Node>;
  /** Of the topology's hub: which edges there are. */
  readonly tokens: () => Promise<TokenDesk>;
}

/** The group that an edge was enrolled in; undefined where there is no such edge, or its group is gone. */
export async function groupOfEdge({ topology, tokens }: Omit<EdgeWorld, "reach">, name: string): Promise<TopologyGroup | undefined> {
  const [token] = topology.groups.length === 0 ? [] : await (await tokens()).list({ node: nodeName(name), role: "node", limit: 1 });
  return topology.groups.find((each) => each.name === token?.group);
}
