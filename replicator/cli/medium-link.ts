import { TomboloError } from "../change/error.ts";
import { nodeName } from "../change/names.ts";
import { enrolledEdge, groupLink } from "../hub/group-link.ts";
import { hubOf } from "../lifecycle/tree.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { linkBetween } from "./medium-options.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import type { CommandContext } from "./verb.ts";

/** A link that files travel on: one of the topology, or that of an edge which is enrolled in a group. */
export interface MediumLink {
  readonly link: TopologyLink;
  /** Null for a link of the topology. */
  readonly group: string | null;
}

/**
 * Null where nothing joins the two. An edge is looked up in the hub's tokens: one that was revoked has no link any more. Throws what opening the hub throws,
 * `GROUP_UNKNOWN` (usage).
 */
export async function mediumLink(context: CommandContext, topology: Topology, one: string, other: string): Promise<MediumLink | null> {
  const link = linkBetween(topology, one, other);
  if (link !== undefined) return { link, group: null };
  const isNode = (name: string): boolean => topology.nodes.some((known) => known.name === name);
  const edge = [one, other].find((name) => !isNode(name));
  if (edge === undefined || topology.groups.length === 0) return null;
  const hub = hubOf(topology);
  const known = await withNodes(context, [hub], (nodes) => enrolledEdge(reachedNode(nodes, hub.name).tokens, nodeName(edge)));
  if (known === null) throw notEnrolled(edge);
  const made = groupLink(topology, known);
  return made.parent === one || made.parent === other ? { link: made, group: known.group } : null;
}

const notEnrolled = (edge: string): TomboloError =>
  new TomboloError(`${edge} is neither a node of the topology nor an edge with a token in force`, {
    code: "NODE_UNKNOWN",
    kind: "usage",
    hint: "`tombolo tokens list` shows the edges; one whose token ended is enrolled anew.",
  });
