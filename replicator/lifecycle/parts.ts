import type { Link, LinkObserver } from "../link/link.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink, TopologyNode } from "../topology/topology.ts";
import type { LeaseStore } from "./lease.ts";

/** The parts of the product that a process is put together from; `main.ts` fills them in. */
export interface Parts {
  /** Throws `connect` when the database cannot be reached, `newer` when it belongs to a newer version. */
  openNode(config: TopologyNode): Promise<Node>;
  createLink(options: LinkOptions): Link;
  leaseStore(hub: TopologyNode, topologyName: string): LeaseStore;
}

export interface LinkOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly observer: LinkObserver;
}
