import { TomboloError } from "../change/error.ts";
import { directLinks, linkName } from "../lifecycle/tree.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

/** The link of this name (PARENT/CHILD) whose two ends are reached. Throws `LINK_UNKNOWN` (usage). */
export function directLink(topology: Topology, name: string): TopologyLink {
  const links = directLinks(topology);
  const link = links.find((each) => linkName(each) === name);
  if (link !== undefined) return link;
  throw new TomboloError(`the topology has no link ${name} of which both ends are reached`, {
    code: "LINK_UNKNOWN",
    kind: "usage",
    hint: `Its links are ${links.map(linkName).join(", ")}.`,
  });
}
