import type { NodeName } from "../change/names.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import { errorReport } from "../observability/describe-error.ts";
import { EXIT } from "./exit-codes.ts";
import { linkOf, synchronise } from "./full-sync.ts";
import { agreed } from "./full-sync-terms.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { oneOf } from "./option-values.ts";
import { requireTopology } from "./topology-file.ts";
import { type RunVerb, text } from "./verb.ts";
import { whoOf } from "./who.ts";

export const nodesResync: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const name = input.args[0] ?? "";
  if (topology.groups.length > 0 && topology.nodes.every((node) => node.name !== name)) {
    const code = await (await import("./edge-full-sync.ts")).resyncOfEdge(context, input, topology);
    if (code !== null) return code;
  }
  const link = linkOf(topology, name);
  const direction = oneOf("direction", text(input, "direction") ?? "pull", ["pull", "push"] as const);
  const [source, target] = direction === "pull" ? [link.parent, link.child] : [link.child, link.parent];
  const asked = `${link.parent} and ${link.child} begin anew, and ${target} becomes a copy of ${source}: what only ${target} has goes, and the conflict history of ${target} keeps it. Go on?`;
  if (!(await agreed(context, input, asked))) return EXIT.failed;
  const configs = [nodeOf(topology, link.parent), nodeOf(topology, link.child)];
  await withNodes(context, configs, async (nodes) => {
    const { beginAnew } = await import("../full-sync/resync.ts");
    const [parent, child] = [reachedNode(nodes, link.parent), reachedNode(nodes, link.child)];
    await beginAnew({ parent, child, link, topology });
    await parent.audit.record({ who: whoOf(input), what: "nodes resync", details: { child: child.name, direction } });
  });
  return synchronise(context, input, { topology, link, direction });
};

/** The node may be gone for good, or not in the topology any more: it is its neighbours that forget it. */
export const nodesRemove: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const name = (input.args[0] ?? "") as NodeName;
  const others = topology.nodes.filter((node) => node.name !== name);
  if (!(await agreed(context, input, `Forget ${name}? What it has not sent yet is not taken any more, and its parked changes go.`)))
    return EXIT.failed;
  return withNodes(context, others, async (nodes) => {
    const forgotten: string[] = [];
    const failed: { node: string; error: ReturnType<typeof errorReport> }[] = [];
    for (const [other, reached] of nodes) {
      if (!("node" in reached)) {
        failed.push({ node: other, error: errorReport(reached.error) });
        continue;
      }
      if (!(await reached.node.rejoin.forget(name))) continue;
      await reached.node.audit.record({ who: whoOf(input), what: "nodes remove", details: { node: name } });
      forgotten.push(other);
    }
    if (context.json) context.out.json({ node: name, forgotten_by: forgotten, failed });
    else {
      context.out.line(forgotten.length === 0 ? `${name}: no node knows it` : `${name}: forgotten by ${forgotten.join(", ")}`);
      for (const { node, error } of failed) context.out.note(`${node}: ${error.message}`);
    }
    if (topology.nodes.length > others.length) context.out.note(`take ${name} out of the topology, or the next run makes it known again`);
    return forgotten.length === 0 ? EXIT.failed : EXIT.done;
  });
};
