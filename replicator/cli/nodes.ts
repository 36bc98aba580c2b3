import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { linkAbove, nodeOf } from "../lifecycle/tree.ts";
import { collectStatus } from "../observability/status-report.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { table } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import type { CommandContext, Verb } from "./verb.ts";

export const nodesList: Verb = {
  name: "nodes list",
  summary: "list the nodes with their place in the tree and their state",
  examples: ["tombolo nodes list", "tombolo nodes list --json"],
  async run(context) {
    const topology = await requireTopology(context);
    const report = await withNodes(context, topology.nodes, (nodes) => collectStatus(topology, nodes, Date.now));
    const rows = report.nodes.map(({ name, engine, state }) => {
      const link = report.links.find(({ child }) => child === name);
      return { name, engine, parent: link?.parent ?? null, state: state === "up" ? (link?.state ?? "live") : state };
    });
    if (context.json) context.out.json({ nodes: rows });
    else {
      const cells = rows.map(({ name, engine, parent, state }) => [name, engine, parent ?? "- (hub)", state]);
      for (const line of table(["NODE", "ENGINE", "PARENT", "STATE"], cells)) context.out.line(line);
    }
    return EXIT.done;
  },
};

export const nodesPause: Verb = {
  name: "nodes pause",
  summary: "stop replicating between a node and its parent; changes are kept until it is resumed",
  arguments: "<node>",
  examples: ["tombolo nodes pause store-1"],
  run: (context, { args }) => setPaused(context, args[0] ?? "", true),
};

export const nodesResume: Verb = {
  name: "nodes resume",
  summary: "go on replicating between a node and its parent",
  arguments: "<node>",
  examples: ["tombolo nodes resume store-1"],
  run: (context, { args }) => setPaused(context, args[0] ?? "", false),
};

/** The parent keeps the state of its children, so that a child that is away can be paused as well. */
async function setPaused(context: CommandContext, name: string, paused: boolean): Promise<ExitCode> {
  const topology = await requireTopology(context);
  const parent = parentOf(topology, nodeOf(topology, name).name);
  await withNodes(context, [nodeOf(topology, parent)], async (nodes) => {
    await reachedNode(nodes, parent).installation.setPaused(name as NodeName, paused);
  });
  if (context.json) context.out.json({ node: name, parent, paused });
  else context.out.line(`${name}: ${paused ? "paused" : "resumed"}`);
  return EXIT.done;
}

function parentOf(topology: Parameters<typeof linkAbove>[0], name: NodeName): NodeName {
  const link = linkAbove(topology, name);
  if (link !== undefined) return link.parent;
  throw new TomboloError(`${name} is the hub: it has no parent to be paused towards`, {
    code: "NODE_IS_HUB",
    kind: "usage",
    hint: "Pause its children, or stop the replicator.",
  });
}
