import { LinkEnd } from "../link/link-end.ts";
import { type Manifest, manifestId, manifestOf } from "../link/manifest.ts";
import type { NewsOf } from "../node/change-log.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import type { Caller } from "./caller.ts";
import type { HubContext } from "./context.ts";
import { EdgeObserver } from "./edge-observer.ts";
import { groupLink } from "./group-link.ts";
import { WishBoard } from "./wish-board.ts";

/** The hub's end of the link to one edge, as its credential says. */
export interface EdgePlace {
  readonly node: Node;
  readonly end: LinkEnd;
  readonly link: TopologyLink;
  readonly manifest: Manifest;
  readonly manifestId: string;
  readonly observer: EdgeObserver;
  /** What the edge waits for. */
  readonly news: NewsOf;
  readonly wishes: WishBoard;
}

/** Beyond so many edges, the one that has been silent for longest is looked up anew when it comes. */
const MOST_PLACES = 5_000;

/**
 * Finds the hub's end of an edge's link. What is remembered saves looking up who the nodes are; it holds nothing of the link's state, and a topology that
 * was reloaded is another one.
 */
export class EdgeDesk {
  readonly #hub: HubContext;
  readonly #places = new Map<string, { readonly topology: Topology; readonly node: Node; readonly place: EdgePlace }>();

  readonly #boards = new WeakMap<Node, WishBoard>();

  constructor(hub: HubContext) {
    this.#hub = hub;
  }

  /** Throws `GROUP_UNKNOWN` or `NODE_NAME_TAKEN` (usage), and what opening the node throws. */
  async place(caller: Caller): Promise<EdgePlace> {
    const topology = this.#hub.topology();
    const link = groupLink(topology, caller);
    const node = await this.#hub.node(link.parent);
    const key = JSON.stringify([caller.node, caller.group, caller.params]);
    const known = this.#places.get(key);
    this.#places.delete(key);
    const place = known?.topology === topology && known.node === node ? known.place : await this.#made({ topology, link, node, caller });
    this.#places.set(key, { topology, node, place });
    for (const oldest of this.#places.keys()) {
      if (this.#places.size <= MOST_PLACES) break;
      this.#places.delete(oldest);
    }
    return place;
  }

  async #made(options: { topology: Topology; link: TopologyLink; node: Node; caller: Caller }): Promise<EdgePlace> {
    const { topology, link, node, caller } = options;
    const { parts, timers, metrics, lag, log } = this.#hub;
    const { now } = timers;
    const manifest = manifestOf({ topology, link, group: caller.group ?? "", engine: node.engine });
    const observer = new EdgeObserver({ metrics, lag, log, now, parent: link.parent, edge: link.child, group: caller.group ?? "" });
    const end = new LinkEnd({
      node,
      role: "parent",
      // which engine an edge has is its own business: it only sets how large the parts of a packet are
      other: { name: link.child, engine: "sqlite" },
      link,
      topology,
      judge: await parts.judge(),
      observer: observer.down,
      received: (event) => observer.up(event),
      now,
    });
    const wishes = this.#boards.get(node) ?? new WishBoard(node);
    this.#boards.set(node, wishes);
    return { node, end, link, manifest, manifestId: manifestId(manifest), observer, news: newsOf(topology, link), wishes };
  }
}

function newsOf({ channels }: Topology, link: TopologyLink): NewsOf {
  const down = new Set(link.channels.filter(({ direction }) => direction !== "up").map(({ name }) => name));
  return {
    reader: link.child,
    tables: new Set(channels.filter(({ name }) => down.has(name)).flatMap(({ tables }) => tables.map(({ name }) => name))),
  };
}
