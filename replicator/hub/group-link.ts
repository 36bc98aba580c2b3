import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import type { TokenDesk } from "../node/token-desk.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

/** Who an edge is, as its credential says. */
export interface EnrolledEdge {
  readonly node: NodeName | null;
  readonly group: string | null;
  readonly params: { readonly [name: string]: string };
}

/** The link that the topology's group and the credential's parameters make for an edge. Throws `GROUP_UNKNOWN` or `NODE_NAME_TAKEN` (usage). */
export function groupLink({ groups, nodes }: Topology, { node, group: name, params }: EnrolledEdge): TopologyLink {
  const group = groups.find((candidate) => candidate.name === name);
  if (group === undefined || node === null) {
    throw new TomboloError(`the topology has no group ${name} any more`, {
      code: "GROUP_UNKNOWN",
      kind: "usage",
      hint: "Put it back into the topology, or enrol the edge in another group.",
    });
  }
  if (nodes.some((known) => known.name === node)) {
    throw new TomboloError(`the topology itself has a node ${node}`, {
      code: "NODE_NAME_TAKEN",
      kind: "usage",
      hint: "Enrol the edge under another name.",
    });
  }
  const own = Object.fromEntries(
    group.params.filter((param) => Object.hasOwn(params, param)).map((param) => [param, params[param] as string]),
  );
  return { parent: group.parent, child: node, params: own, channels: group.channels };
}

/** More tokens than one edge has in force. */
const MOST_OF_ONE = 100;

/** The edge of that name, by the token that it has in force; null where there is none. */
export async function enrolledEdge(tokens: TokenDesk, node: NodeName): Promise<EnrolledEdge | null> {
  const known = await tokens.list({ node, role: "node", inForce: true, limit: MOST_OF_ONE });
  return known.find(({ kind }) => kind === "token") ?? null;
}
