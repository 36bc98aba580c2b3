import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import type { ShownConflict } from "../node/conflict-desk.ts";
import type { Node } from "../node/node.ts";
import { errorLine } from "../observability/describe-error.ts";
import type { Reached } from "../observability/status-report.ts";
import { isParent } from "../operations/conflict-pages.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { type NumberAtNode, numberAtNode, optionInvalid } from "./option-values.ts";
import { type CommandContext, text, type VerbInput } from "./verb.ts";

/** A conflict where it was found. */
export interface FoundConflict {
  readonly node: Node;
  readonly shown: ShownConflict;
}

/** Which conflict a command line speaks of: `7`, `7 --node hub` or `hub/7`. */
export function conflictNamed(input: VerbInput): NumberAtNode {
  const named = numberAtNode(input.args[0] ?? "");
  const option = text(input, "node") ?? null;
  if (named.node !== null && option !== null && named.node !== option) {
    throw optionInvalid(`${named.node}/${named.id} is not at ${option}`, "Name the node once.");
  }
  return { id: named.id, node: named.node ?? option };
}

/** The nodes to look at: the one that is named, or all, as each counts for itself. Throws `NODE_UNKNOWN` (usage). */
export const nodesToAsk = (topology: Topology, named: NumberAtNode): readonly TopologyNode[] =>
  named.node === null ? topology.nodes : [nodeOf(topology, named.node)];

/**
 * Finds a conflict by its number. A node that cannot be asked is noted. Throws `CONFLICT_AMBIGUOUS` (usage) where more than one node
 * has it, or (with `certain`) where a parent that cannot be asked might; `CONFLICT_UNKNOWN` (usage).
 */
export async function findConflict(
  context: CommandContext,
  nodes: ReadonlyMap<NodeName, Reached>,
  named: NumberAtNode,
  options: { readonly topology: Topology; readonly certain: boolean },
): Promise<FoundConflict> {
  const found: FoundConflict[] = [];
  const away: { readonly name: NodeName; readonly error: unknown }[] = [];
  await Promise.all(
    [...nodes].map(async ([name, reached]) => {
      try {
        if (!("node" in reached)) throw reached.error;
        const shown = await reached.node.conflicts.show(named.id);
        if (shown !== null) found.push({ node: reached.node, shown });
      } catch (error) {
        away.push({ name, error });
      }
    }),
  );
  for (const { name, error } of nodes.size > 1 ? away : []) context.out.note(`${name}: ${errorLine(error)}`);
  const [first] = found;
  const silent = away.filter(({ name }) => isParent(options.topology, name));
  if (first === undefined) throw silent[0]?.error ?? away[0]?.error ?? unknown(named);
  if (found.length > 1)
    throw ambiguous(
      named,
      `${found
        .map(({ node }) => node.name)
        .sort()
        .join(" and ")} each have a conflict ${named.id}`,
      first,
    );
  if (options.certain && silent[0] !== undefined) {
    throw ambiguous(named, `${silent[0].name} cannot be asked whether it has a conflict ${named.id} as well`, first);
  }
  return first;
}

const unknown = ({ node, id }: NumberAtNode): TomboloError =>
  new TomboloError(`${node ?? "no node"} has ${node === null ? "a" : "no"} conflict ${id} in its history`, {
    code: "CONFLICT_UNKNOWN",
    kind: "usage",
    hint: "See `tombolo conflicts list`; what was resolved is forgotten after history.keep.",
  });

const ambiguous = (named: NumberAtNode, message: string, found: FoundConflict): TomboloError =>
  new TomboloError(message, {
    code: "CONFLICT_AMBIGUOUS",
    kind: "usage",
    hint: `Name the node: ${found.node.name}/${named.id}, or --node ${found.node.name}.`,
  });
