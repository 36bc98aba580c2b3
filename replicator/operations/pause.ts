import { TomboloError } from "../change/error.ts";
import { type NodeName, nodeName } from "../change/names.ts";
import { linkAbove, nodeOf } from "../lifecycle/tree.ts";
import { type EdgeWorld, groupOfEdge } from "./edge-group.ts";

/**
 * Stops or continues the exchange between a node, or an edge, and its parent; answers the parent. The parent keeps the state of its children, so that
 * one that is away can be paused as well. Throws `NODE_UNKNOWN` and `NODE_IS_HUB` (usage).
 */
export async function setPaused(
  world: EdgeWorld,
  request: { readonly name: string; readonly paused: boolean; readonly who: string },
): Promise<NodeName> {
  const { name, paused, who } = request;
  const parent = await parentOf(world, name);
  const node = await world.reach(parent);
  await node.installation.setPaused(nodeName(name), paused);
  await node.audit.record({ who, what: paused ? "node paused" : "node resumed", details: { node: name } });
  return parent;
}

async function parentOf({ topology, tokens }: EdgeWorld, name: string): Promise<NodeName> {
  const link = linkAbove(topology, nodeName(name));
  if (link !== undefined) return link.parent;
  const group = await groupOfEdge({ topology, tokens }, name);
  if (group !== undefined) return group.parent;
  throw new TomboloError(`${nodeOf(topology, name).name} is the hub: it has no parent to be paused towards`, {
    code: "NODE_IS_HUB",
    kind: "usage",
    hint: "Pause its children, or stop the replicator.",
  });
}
