import { TomboloError } from "../change/error.ts";
import { directLinks, linkName } from "../lifecycle/tree.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

/** The link that `--link` names, or all but those that travel on files. Throws `LINK_UNKNOWN` and `LINK_ON_FILES` (usage). */
export function chosenLinks(topology: Topology, name: string | undefined): readonly TopologyLink[] {
  if (name === undefined) return directLinks(topology);
  const link = topology.links.find((candidate) => linkName(candidate) === name);
  if (link?.transport === "file") throw travelsOnFiles(link);
  if (link !== undefined) return [link];
  throw new TomboloError(`the topology has no link ${name}`, {
    code: "LINK_UNKNOWN",
    kind: "usage",
    hint: `Its links are ${topology.links.map(linkName).join(", ")}.`,
  });
}

const travelsOnFiles = (link: TopologyLink): TomboloError =>
  new TomboloError(`the link ${linkName(link)} travels on files`, {
    code: "LINK_ON_FILES",
    kind: "usage",
    hint: "Use `tombolo export` at one end and `tombolo import` at the other.",
  });
