import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { conflictRule } from "../change/verdict.ts";
import type { WantedTable } from "../node/installation.ts";
import { filterFormOf, rowFilterOf } from "../topology/row-filters.ts";
import type { Topology, TopologyLink, TopologyNode } from "../topology/topology.ts";

/** It is asked for again and again, for every node that is looked at. */
const hubs = new WeakMap<Topology, TopologyNode>();

/** The node that is no link's child. */
export function hubOf(topology: Topology): TopologyNode {
  const hub = hubs.get(topology) ?? findHub(topology);
  hubs.set(topology, hub);
  return hub;
}

function findHub(topology: Topology): TopologyNode {
  const children = new Set(topology.links.map(({ child }) => child));
  // a checked topology is a tree
  return topology.nodes.find(({ name }) => !children.has(name)) as TopologyNode;
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

/** The links of which one process reaches both ends. */
export const directLinks = (topology: Topology): readonly TopologyLink[] => topology.links.filter(({ transport }) => transport !== "file");

/** How many links a link is away from the root. */
function depthOf(topology: Topology, link: TopologyLink): number {
  const above = linkAbove(topology, link.parent);
  return above === undefined ? 1 : 1 + depthOf(topology, above);
}

/** Links from the leaves to the root: a link comes before the link above it. Reversed, it is from the root to the leaves. */
export const leavesFirst = (topology: Topology): readonly TopologyLink[] =>
  [...topology.links].sort((a, b) => depthOf(topology, b) - depthOf(topology, a));

/** Links from the root to the leaves; those of one depth as the topology has them. */
export const rootFirst = (topology: Topology): readonly TopologyLink[] =>
  [...topology.links].sort((a, b) => depthOf(topology, a) - depthOf(topology, b));

/** Which ids are a node's where a table sets them apart: its remainder. */
const idSlotOf = (topology: Topology, node: TopologyNode): number =>
  node.idSlot ?? topology.nodes.findIndex(({ name }) => name === node.name);

/** The tables that a node takes part in, over all its links, each once. */
export function wantedTables(topology: Topology, node: TopologyNode): readonly WantedTable[] {
  const links = topology.links.filter(({ parent, child }) => parent === node.name || child === node.name);
  const groups = topology.groups.filter(({ parent }) => parent === node.name);
  const all = [...links, ...groups];
  const channels = new Set(all.flatMap((link) => link.channels.map(({ name }) => name)));
  const upward = new Set(all.flatMap(({ channels: uses }) => uses.filter(({ direction }) => direction !== "down").map(({ name }) => name)));
  const incoming = new Set(
    all.flatMap((link) => {
      const isChild = "child" in link && link.child === node.name;
      return link.channels.filter(({ direction }) => direction === "both" || (direction === "down") === isChild).map(({ name }) => name);
    }),
  );
  return topology.channels
    .filter(({ name }) => channels.has(name))
    .flatMap((channel) => {
      const below = all.filter((link) => link.parent === node.name && link.channels.some(({ name }) => name === channel.name));
      return channel.tables.map((table) => ({
        table: table.name,
        channel: channel.name,
        local: node.type === "postgres" ? `${table.postgres.schema}.${table.postgres.table}` : table.sqlite,
        wholeImages: table.detect === "row" || table.groups.length > 0 || table.filter !== null,
        conflict: conflictRule(table),
        exclude: table.exclude,
        receives: incoming.has(channel.name),
        sharesKeys: upward.has(channel.name),
        filters: below.flatMap((link) => ("child" in link ? rowFilterOf(table, link, node.type) : filterFormOf(table, link)) ?? []),
        idStride: table.idStride === null ? null : { stride: table.idStride, slot: idSlotOf(topology, node) },
      }));
    });
}
