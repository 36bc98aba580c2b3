import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { ParkedDetails } from "../node/parked-desk.ts";
import { errorLine } from "../observability/describe-error.ts";
import type { Reached } from "../observability/status-report.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { type NumberAtNode, numberAtNode } from "./option-values.ts";
import type { CommandContext } from "./verb.ts";

/** A parked change where it was found. */
export interface FoundParked {
  readonly node: Node;
  readonly details: ParkedDetails;
}

/** Which parked changes a command line speaks of: `17`, `hub/17`. */
export const parkedNamed = (args: readonly string[]): readonly NumberAtNode[] => args.map(numberAtNode);

/** The nodes to look at: those that are named, or all where a number stands alone. Throws `NODE_UNKNOWN` (usage). */
export function nodesHolding(topology: Topology, named: readonly NumberAtNode[]): readonly TopologyNode[] {
  const names = new Set(named.map(({ node }) => (node === null ? null : nodeOf(topology, node).name)));
  return names.has(null) ? topology.nodes : topology.nodes.filter(({ name }) => names.has(name));
}

/**
 * Finds a parked change by its number. Throws `PARKED_AMBIGUOUS` (usage) where more than one node has it, or (with `certain`) where a node that
 * cannot be asked might; `PARKED_UNKNOWN` (usage).
 */
export async function findParked(
  context: CommandContext,
  nodes: ReadonlyMap<NodeName, Reached>,
  named: NumberAtNode,
  certain: boolean,
): Promise<FoundParked> {
  const found: FoundParked[] = [];
  const away: { readonly name: NodeName; readonly error: unknown }[] = [];
  const asked = [...nodes].filter(([name]) => named.node === null || named.node === name);
  await Promise.all(
    asked.map(async ([name, reached]) => {
      try {
        if (!("node" in reached)) throw reached.error;
        const details = await reached.node.parked.show(named.id);
        if (details !== null) found.push({ node: reached.node, details });
      } catch (error) {
        away.push({ name, error });
      }
    }),
  );
  for (const { name, error } of asked.length > 1 ? away : []) context.out.note(`${name}: ${errorLine(error)}`);
  const [first, ...others] = found;
  const [silent] = away;
  if (first === undefined) throw silent === undefined ? unknown(named) : silent.error;
  if (others.length > 0) {
    const names = found.map(({ node }) => node.name).sort();
    throw ambiguous(`${names.join(" and ")} each have a parked change ${named.id}`, named, first);
  }
  if (certain && silent !== undefined) {
    throw ambiguous(`${silent.name} cannot be asked whether it has a parked change ${named.id} as well`, named, first);
  }
  return first;
}

const unknown = ({ node, id }: NumberAtNode): TomboloError =>
  new TomboloError(`${node ?? "no node"} has ${node === null ? "a" : "no"} parked change ${id}`, {
    code: "PARKED_UNKNOWN",
    kind: "usage",
    hint: "See `tombolo parked list`; it may have gone through meanwhile.",
  });

const ambiguous = (message: string, { id }: NumberAtNode, { node }: FoundParked): TomboloError =>
  new TomboloError(message, { code: "PARKED_AMBIGUOUS", kind: "usage", hint: `Name the node: ${node.name}/${id}.` });
