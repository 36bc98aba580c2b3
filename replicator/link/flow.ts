import type { ChannelName, TableName } from "../change/names.ts";
import type { Policy } from "../change/verdict.ts";
import type { Node } from "../node/node.ts";
import type { PeerRole, TableRule } from "../node/target.ts";
import type { Direction, Topology, TopologyLink } from "../topology/topology.ts";

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
  readonly target: Node;
  /** What the source is to the target. */
  readonly from: PeerRole;
  /** Channels that travel in one packet, most urgent group first: those of the same priority stay together, so that a transaction across them does. */
  readonly groups: readonly (readonly FlowChannel[])[];
  readonly rules: ReadonlyMap<TableName, TableRule>;
}

/** The two flows of a link: up (child to parent) and down. */
export function flows(options: { parent: Node; child: Node; link: TopologyLink; topology: Topology }): { up: Flow; down: Flow } {
  const { parent, child } = options;
  return {
    up: flow({ ...options, source: child, target: parent, from: "child", carries: ["both", "up"] }),
    down: flow({ ...options, source: parent, target: child, from: "parent", carries: ["both", "down"] }),
  };
}

function flow(options: {
  readonly source: Node;
  readonly target: Node;
  readonly from: PeerRole;
  readonly carries: readonly Direction[];
  readonly link: TopologyLink;
  readonly topology: Topology;
}): Flow {
  const { source, target, from, carries, link, topology } = options;
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
      // the topology's check has refused to run with the other policies
      rules.set(table.name, {
        table: table.name,
        channel: channel.name,
        policy: table.policy as Policy,
        detect: table.detect,
        oneWay: !bothWays,
      });
    }
  }
  const ordered = [...groups.entries()].sort(([a], [b]) => a - b).map(([, channels]) => channels);
  return { source, target, from, groups: ordered, rules };
}
