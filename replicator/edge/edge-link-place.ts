import type { Engine } from "../change/shape.ts";
import type { LinkEnd } from "../link/link-end.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import type { HubClient } from "./hub-client.ts";

/** An edge's database and its end of the link. */
export interface EdgeLinkPlace {
  readonly node: Node;
  readonly end: LinkEnd;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly client: HubClient;
  /** What the hub can do: see `HUB_FEATURES`. */
  readonly hubFeatures: readonly string[];
}

/** What the hub's database is. */
export const hubEngine = ({ topology, link }: Pick<EdgeLinkPlace, "topology" | "link">): Engine =>
  topology.nodes.find(({ name }) => name === link.parent)?.type ?? "postgres";

/** The edge's database, where that is a file. */
export function fileOf({ node, topology }: Pick<EdgeLinkPlace, "node" | "topology">): string | null {
  const config = topology.nodes.find(({ name }) => name === node.name);
  return config?.type === "sqlite" ? config.path : null;
}
