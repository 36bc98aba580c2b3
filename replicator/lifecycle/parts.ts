import type { Judge } from "../change/verdict.ts";
import type { FullSyncResult } from "../full-sync/full-sync.ts";
import type { FullSyncOptions } from "../full-sync/options.ts";
import type { Link, LinkObserver } from "../link/link.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink, TopologyNode } from "../topology/topology.ts";
import type { LeaseStore } from "./lease.ts";

/** The parts of the product that a process is put together from; `main.ts` fills them in, and loads each when it is first asked for. */
export interface Parts {
  /** Throws `connect` when the database cannot be reached, `newer` when it belongs to a newer version. */
  openNode(config: TopologyNode): Promise<Node>;
  createLink(options: LinkOptions): Promise<Link>;
  fullSync(options: Omit<FullSyncOptions, "modules">): Promise<FullSyncResult>;
  /** What decides conflicts where there is no link in this process. */
  judge(): Promise<Judge>;
  leaseStore(hub: TopologyNode, topologyName: string): Promise<LeaseStore>;
}

export interface LinkOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly observer: LinkObserver;
}
