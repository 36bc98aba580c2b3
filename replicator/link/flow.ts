import type { ChannelName, TableName } from "../change/names.ts";
import type { Engine } from "../change/shape.ts";
import { conflictRule } from "../change/verdict.ts";
import type { Node } from "../node/node.ts";
import type { PeerRole, TableRule } from "../node/target.ts";
import { rowFiltersOf } from "../topology/row-filters.ts";
import type { Direction, Topology, TopologyLink } from "../topology/topology.ts";
import type { ScopedTable } from "./link-scopes.ts";
import type { Receiver } from "./receiver.ts";

/** One channel of a link in one direction. */
export interface FlowChannel {
  readonly name: ChannelName;
  readonly tables: readonly TableName[];
  /** Changes travel the other way too. */
  readonly bothWays: boolean;
}

/** What travels from one node of a link to the other. */
export interface Flow {
  readonly source: Node;
  readonly target: Receiver;
  /** What the source is to the target. */
  readonly from: PeerRole;
  /** Channels that travel in one packet, most urgent group first: those of the same priority stay together, so that a transaction across them does. */
  readonly groups: readonly (readonly FlowChannel[])[];
  readonly rules: ReadonlyMap<TableName, TableRule>;
  /** Tables of which the child is given some rows only: their updates travel as whole rows. */
  readonly filtered: ReadonlySet<TableName>;
}

interface LinkPlace {
  readonly link: TopologyLink;
  readonly topology: Topology;
}

/** The two flows of a link: up (child to parent) and down. */
export function flows({ parent, child, ...place }: LinkPlace & { parent: Node; child: Node }): { up: Flow; down: Flow } {
  return { up: upFlow({ ...place, parent, child }), down: downFlow({ ...place, parent, child }) };
}

export function upFlow({ parent, child, ...place }: LinkPlace & { readonly parent: Receiver; readonly child: Node }): Flow {
  return { source: child, target: parent, ...flowTables({ ...place, from: "child", parentEngine: parent.engine }) };
}

export function downFlow({ parent, child, ...place }: LinkPlace & { readonly parent: Node; readonly child: Receiver }): Flow {
  return { source: parent, target: child, ...flowTables({ ...place, from: "parent", parentEngine: parent.engine }) };
}

/** What of a link travels one way, whoever its ends are. */
export function flowTables({
  from,
  parentEngine,
  link,
  topology,
}: LinkPlace & { readonly from: PeerRole; readonly parentEngine: Engine }): Omit<Flow, "source" | "target"> {
  const carries: readonly Direction[] = ["both", from === "child" ? "up" : "down"];
  const filtered = new Set(rowFiltersOf(topology, link, parentEngine).keys());
  const groups = new Map<number, FlowChannel[]>();
  const rules = new Map<TableName, TableRule>();
  for (const used of link.channels) {
    if (!carries.includes(used.direction)) continue;
    const channel = topology.channels.find((candidate) => candidate.name === used.name);
    if (channel === undefined) continue;
    const bothWays = used.direction === "both";
    const group = groups.get(channel.priority) ?? [];
    group.push({ name: channel.name, tables: channel.tables.map((table) => table.name), bothWays });
    groups.set(channel.priority, group);
    for (const table of channel.tables) {
      rules.set(table.name, {
        table: table.name,
        channel: channel.name,
        ...conflictRule(table),
        oneWay: !bothWays,
      });
    }
  }
  const ordered = [...groups.entries()].sort(([a], [b]) => a - b).map(([, channels]) => channels);
  return { from, groups: ordered, rules, filtered };
}

/** Every table of the link, with the rows of it that the topology wants the child to have. */
export function scopedTables({ parent, link, topology }: LinkPlace & { readonly parent: Pick<Node, "engine"> }): ScopedTable[] {
  const filters = rowFiltersOf(topology, link, parent.engine);
  return link.channels.flatMap(({ name, direction }) => {
    const tables = topology.channels.find((channel) => channel.name === name)?.tables ?? [];
    return tables.map((table) => ({
      name: table.name,
      wanted: filters.get(table.name) ?? null,
      down: direction !== "up",
    }));
  });
}
