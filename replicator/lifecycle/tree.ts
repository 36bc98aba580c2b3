import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import type { WantedTable } from "../node/installation.ts";
import type { Topology, TopologyLink, TopologyNode } from "../topology/topology.ts";

/** The node that is no link's child. */
export function hubOf(topology: Topology): TopologyNode {
  const children = new Set(topology.links.map(({ child }) => child));
  const hub = topology.nodes.find(({ name }) => !children.has(name));
  if (hub === undefined) throw new TomboloError("the topology has no hub", { code: "TOPOLOGY_NOT_A_TREE", kind: "usage" });
  return hub;
}

export function nodeOf(topology: Topology, name: string): TopologyNode {
  const node = topology.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  throw new TomboloError(`the topology has no node ${name}`, {
    code: "NODE_UNKNOWN",
    kind: "usage",
    hint: `Its nodes are ${topology.nodes.map((known) => known.name).join(", ")}.`,
  });
}

/** The link above a node; undefined for the hub. */
export function linkAbove(topology: Topology, child: NodeName): TopologyLink | undefined {
  return topology.links.find((link) => link.child === child);
}

export const linkName = (link: { readonly parent: string; readonly child: string }): string => `${link.parent}/${link.child}`;

/** Links from the leaves to the root: a link comes before the link above it. Reversed, it is from the root to the leaves. */
export function leavesFirst(topology: Topology): readonly TopologyLink[] {
  const depth = (link: TopologyLink): number => {
    const above = linkAbove(topology, link.parent);
    return above === undefined ? 1 : 1 + depth(above);
  };
  return [...topology.links].sort((a, b) => depth(b) - depth(a));
}

/** The tables that a node takes part in, over all its links, each once. */
export function wantedTables(topology: Topology, node: TopologyNode): readonly WantedTable[] {
  const links = topology.links.filter(({ parent, child }) => parent === node.name || child === node.name);
  const channels = new Set(links.flatMap((link) => link.channels.map(({ name }) => name)));
  return topology.channels
    .filter(({ name }) => channels.has(name))
    .flatMap((channel) =>
      channel.tables.map((table) => ({
        table: table.name,
        channel: channel.name,
        local: node.type === "postgres" ? `${table.postgres.schema}.${table.postgres.table}` : table.sqlite,
        detect: table.detect,
      })),
    );
}
