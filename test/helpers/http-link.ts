import { Edge } from "../../replicator/edge/edge.ts";
import type { LinkCounts, LinkObserver } from "../../replicator/link/link.ts";
import type { Node } from "../../replicator/node/node.ts";
import type { Topology, TopologyLink } from "../../replicator/topology/topology.ts";
import { openHub, type TestHub } from "./hub.ts";

/** The topology of a link as a hub's service has it: the child is an edge of a group. */
export const asGroup = (topology: Topology, link: TopologyLink, parent: Node): Topology => ({
  ...topology,
  nodes: [{ name: parent.name, type: "sqlite", path: "/hub.db" }],
  links: [],
  groups: [{ name: "edges", parent: parent.name, channels: link.channels, params: Object.keys(link.params) }],
});

/** As `byRole` of hub.ts reads it. */
export const edgeToken = (link: Pick<TopologyLink, "child" | "params">): string =>
  ["node", link.child, "edges", ...Object.entries(link.params).map((pair) => pair.map(encodeURIComponent).join("="))].join("~");

export interface HttpLinkOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly observer: LinkObserver;
}

/** A link over HTTP: a hub's service over the parent, and an edge over the child. Both are there as long as the process is. */
export class HttpLink {
  readonly #options: HttpLinkOptions;
  #open: Promise<{ readonly hub: TestHub; readonly edge: Edge }> | undefined;

  constructor(options: HttpLinkOptions) {
    this.#options = options;
  }

  async settle(): Promise<LinkCounts> {
    this.#open ??= this.#start();
    const { edge } = await this.#open;
    const { open: _, ...counts } = await edge.sync(new AbortController().signal);
    return counts;
  }

  async #start(): Promise<{ hub: TestHub; edge: Edge }> {
    const { parent, child, link, topology, observer } = this.#options;
    const hub = await openHub({ topology: asGroup(topology, link, parent), nodes: [parent] });
    hub.server.server.unref();
    const edge = new Edge({
      credential: { hub: hub.url, node: child.name, token: edgeToken(link), ca: null },
      database: child.engine === "postgres" ? "postgres://child" : "/child.db",
      openNode: async () => child,
      observer,
      now: Date.now,
    });
    return { hub, edge };
  }
}
