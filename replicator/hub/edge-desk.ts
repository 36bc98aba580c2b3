import { TomboloError } from "../change/error.ts";
import type { LinkObserver } from "../link/link.ts";
import { LinkEnd } from "../link/link-end.ts";
import { type Manifest, manifestId, manifestOf } from "../link/manifest.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import type { Caller } from "./caller.ts";
import type { HubContext } from "./context.ts";

/** The hub's end of the link to one edge, as its credential says. */
export interface EdgePlace {
  readonly node: Node;
  readonly end: LinkEnd;
  readonly link: TopologyLink;
  readonly manifest: Manifest;
  readonly manifestId: string;
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

  constructor(hub: HubContext) {
    this.#hub = hub;
  }

  /** Throws `GROUP_UNKNOWN` or `NODE_NAME_TAKEN` (usage), and what opening the node throws. */
  async place(caller: Caller): Promise<EdgePlace> {
    const topology = this.#hub.topology();
    const link = edgeLink(topology, caller);
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
    const { parts, timers } = this.#hub;
    const manifest = manifestOf({ topology, link, group: caller.group ?? "", engine: node.engine });
    const end = new LinkEnd({
      node,
      role: "parent",
      // which engine an edge has is its own business: it only sets how large the parts of a packet are
      other: { name: link.child, engine: "sqlite" },
      link,
      topology,
      judge: await parts.judge(),
      observer: this.#observer(),
      now: timers.now,
    });
    return { node, end, link, manifest, manifestId: manifestId(manifest) };
  }

  #observer(): LinkObserver {
    const { log } = this.#hub;
    return {
      applied: ({ source, target, kind, receipt }) => log.debug({ source, target, kind, packet: String(receipt.number) }, "packet sent"),
      caughtUp() {},
      failed() {},
      recovered() {},
      notice: ({ level, message, ...details }) => log[level](details, message),
    };
  }
}

/** The link that the topology's group and the credential's parameters make for an edge. */
function edgeLink({ groups, nodes }: Topology, { node, group: name, params }: Caller): TopologyLink {
  const group = groups.find((candidate) => candidate.name === name);
  if (group === undefined || node === null) {
    throw new TomboloError(`the topology has no group ${name} any more`, {
      code: "GROUP_UNKNOWN",
      kind: "usage",
      hint: "Put it back into the topology, or enrol the edge in another group.",
    });
  }
  if (nodes.some((known) => known.name === node)) {
    throw new TomboloError(`the topology itself has a node ${node}`, {
      code: "NODE_NAME_TAKEN",
      kind: "usage",
      hint: "Enrol the edge under another name.",
    });
  }
  const own = Object.fromEntries(
    group.params.filter((param) => Object.hasOwn(params, param)).map((param) => [param, params[param] as string]),
  );
  return { parent: group.parent, child: node, params: own, channels: group.channels };
}
