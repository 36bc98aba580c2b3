import { type NodeName, tableName } from "../change/names.ts";
import { linkName } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { ParkedRecord } from "../node/parked-desk.ts";
import { errorLine } from "../observability/describe-error.ts";
import type { Reached } from "../observability/status-report.ts";
import { parkedReport } from "../operations/parked-report.ts";
import { cameOver, type KeptChange, retryOverLink } from "../operations/parked-retry.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { chosenNodes, reachedNode, withNodes } from "./nodes-of.ts";
import { findParked, parkedNamed } from "./parked-lookup.ts";
import { oneLine } from "./row-text.ts";
import { requireTopology } from "./topology-file.ts";
import { type CommandContext, type RunVerb, text, type VerbInput } from "./verb.ts";

/** Of each node; what is beyond is tried by the replicator. */
const MOST = 10_000;

interface World {
  readonly context: CommandContext;
  readonly topology: Topology;
  readonly nodes: ReadonlyMap<NodeName, Reached>;
}

export const parkedRetry: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  return withNodes(context, topology.nodes, async (nodes) => {
    const world = { context, topology, nodes };
    const { chosen, errors } = await chosenChanges(world, input);
    for (const link of topology.links) {
      const own = chosen.filter((kept) => cameOver(link, kept));
      if (own.length > 0) errors.push(...(await retry(world, link, own)));
    }
    const after = await Promise.all(chosen.map((kept) => nowOf(world, kept)));
    const still = after.filter((record) => record !== null);
    if (context.json) {
      const tried = chosen.map(({ node, record }, at) => ({
        ...parkedReport(node, after[at] ?? record),
        went_through: after[at] === null,
      }));
      context.out.json({ tried });
    } else {
      for (const [at, { node, record }] of chosen.entries()) context.out.line(line(node, record, after[at] ?? null));
      if (chosen.length === 0 && errors.length === 0) context.out.line("no parked changes");
    }
    return worst([EXIT.done, ...errors.map(exitCodeOf), ...(still.length > 0 ? [EXIT.found] : [])]);
  });
};

/** Those that are named; otherwise all of the chosen nodes and table, as far as the nodes can be asked. */
async function chosenChanges({ context, topology, nodes }: World, input: VerbInput): Promise<{ chosen: KeptChange[]; errors: unknown[] }> {
  const chosen: KeptChange[] = [];
  const errors: unknown[] = [];
  for (const named of parkedNamed(input.args)) {
    const { node, details } = await findParked(context, nodes, named, true);
    chosen.push({ node: node.name, record: details.record });
  }
  if (input.args.length > 0) return { chosen, errors };
  const named = text(input, "table");
  const filter = { limit: MOST, ...(named === undefined ? {} : { table: tableName(named) }) };
  for (const { name } of chosenNodes(topology, input)) {
    try {
      const records = await reachedNode(nodes, name).parked.list(filter);
      // a child's truncate is for a person to decide
      chosen.push(...records.filter(({ op }) => op !== "T").map((record) => ({ node: name, record })));
    } catch (error) {
      context.out.note(`${name}: ${errorLine(error)}`);
      errors.push(error);
    }
  }
  return { chosen, errors };
}

/** Answers what went wrong. */
async function retry({ context, topology, nodes }: World, link: TopologyLink, own: readonly KeptChange[]): Promise<readonly unknown[]> {
  const reach = async (name: NodeName): Promise<Node> => reachedNode(nodes, name);
  try {
    await retryOverLink({ topology, reach, createLink: context.parts.createLink, log: await context.logger() }, link, own);
    return [];
  } catch (error) {
    context.out.note(`${linkName(link)}: ${errorLine(error)}`);
    return [error];
  }
}

/** As it waits now; null when it does not any more. */
async function nowOf({ nodes }: World, { node, record }: KeptChange): Promise<ParkedRecord | null> {
  return (await reachedNode(nodes, node).parked.show(record.id))?.record ?? null;
}

function line(node: NodeName, before: ParkedRecord, after: ParkedRecord | null): string {
  const id = `${node}/${before.id}`;
  return after === null ? `${id}: went through` : `${id}: still refused: ${oneLine(after.reason)} (${after.code})`;
}
