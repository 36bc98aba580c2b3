import { type NodeName, nodeName } from "../change/names.ts";
import { hubOf, linkAbove } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { TokenDesk } from "../node/token-desk.ts";
import { collectStatus } from "../observability/status-report.ts";
import { isParent } from "../operations/conflict-pages.ts";
import { setPaused } from "../operations/pause.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { table } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import type { CommandContext, RunVerb, VerbInput } from "./verb.ts";
import { whoOf } from "./who.ts";

export const nodesList: RunVerb = async (context) => {
  const topology = await requireTopology(context);
  const report = await withNodes(context, topology.nodes, (nodes) => collectStatus(topology, nodes, Date.now));
  const rows = report.nodes.map(({ name, engine, state, drift }) => {
    const link = report.links.find(({ child }) => child === name);
    const now = state === "up" ? (link?.state ?? "live") : state;
    const marked = drift.filter((table) => table.state === "must_compare").map(({ table }) => table as string);
    return { name, engine: engine as string | null, parent: link?.parent ?? null, state: now, must_compare: marked };
  });
  for (const { edge, parent, state } of report.edges)
    rows.push({ name: nodeName(edge), engine: null, parent: nodeName(parent), state, must_compare: [] });
  if (context.json) context.out.json({ nodes: rows });
  else {
    const cells = rows.map(({ name, engine, parent, state, must_compare }) => [
      ...[name, engine ?? "edge", parent ?? "- (hub)", state],
      must_compare.length === 0 ? "-" : must_compare.join(", "),
    ]);
    for (const line of table(["NODE", "ENGINE", "PARENT", "STATE", "MUST COMPARE"], cells)) context.out.line(line);
  }
  return EXIT.done;
};

export const nodesPause: RunVerb = (context, input) => pause(context, input, true);

export const nodesResume: RunVerb = (context, input) => pause(context, input, false);

async function pause(context: CommandContext, input: VerbInput, paused: boolean): Promise<ExitCode> {
  const topology = await requireTopology(context);
  const name = input.args[0] ?? "";
  const above = linkAbove(topology, nodeName(name))?.parent;
  const parents = topology.nodes.filter((node) => (above === undefined ? isParent(topology, node.name) : node.name === above));
  const parent = await withNodes(context, parents, (nodes) => {
    const reach = async (wanted: NodeName): Promise<Node> => reachedNode(nodes, wanted);
    const tokens = async (): Promise<TokenDesk> => (await reach(hubOf(topology).name)).tokens;
    return setPaused({ topology, reach, tokens }, { name, paused, who: whoOf(input) });
  });
  if (context.json) context.out.json({ node: name, parent, paused });
  else context.out.line(`${name}: ${paused ? "paused" : "resumed"}`);
  return EXIT.done;
}
