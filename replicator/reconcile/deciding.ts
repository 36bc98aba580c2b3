import type { ChannelName, NodeName, TableName } from "../change/names.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

/** Who tells that a table of a node which must be compared is as it should be: the link above it, wherever it has one; at the root, all that is below. */

interface Carrier {
  readonly channels: readonly { readonly name: ChannelName }[];
}

export function decidingLinks(topology: Topology, node: NodeName, table: TableName): readonly TopologyLink[] {
  const above = linksAbove(topology, node, table);
  return above.length > 0 ? above : topology.links.filter((link) => link.parent === node && carries(topology, link, table));
}

/** The groups of edges below a root with the table; none of a node with a link above. */
export function decidingGroups(topology: Topology, node: NodeName, table: TableName): readonly string[] {
  if (linksAbove(topology, node, table).length > 0) return [];
  return topology.groups.filter((group) => group.parent === node && carries(topology, group, table)).map(({ name }) => name);
}

const linksAbove = (topology: Topology, node: NodeName, table: TableName): readonly TopologyLink[] =>
  topology.links.filter((link) => link.child === node && carries(topology, link, table));

const carries = ({ channels }: Topology, carrier: Carrier, table: TableName): boolean =>
  carrier.channels.some(({ name }) => channels.find((channel) => channel.name === name)?.tables.some((each) => each.name === table));
