import type { NodeName } from "../change/names.ts";
import type { Reached } from "../observability/status-report.ts";
import type { HubContext } from "./context.ts";

/** Every node of the topology, open, or with the reason why not. */
export async function reachAll(hub: HubContext): Promise<ReadonlyMap<NodeName, Reached>> {
  const reach = async (name: NodeName): Promise<readonly [NodeName, Reached]> => {
    try {
      return [name, { node: await hub.node(name) }];
    } catch (error) {
      return [name, { error }];
    }
  };
  return new Map(await Promise.all(hub.topology().nodes.map(({ name }) => reach(name))));
}
