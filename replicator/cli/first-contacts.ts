import type { NodeName } from "../change/names.ts";
import { directLinks, linkName } from "../lifecycle/tree.ts";
import type { Reached } from "../observability/status-report.ts";
import { type FirstContact, firstContact } from "../reconcile/first-contact.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import type { Output } from "./output.ts";

/** What the first contact of a link will find in databases that both hold rows. */
export interface LinkContact {
  readonly link: TopologyLink;
  readonly tables: readonly FirstContact[];
}

/** Of the links between these nodes where both ends are installed; one that cannot be asked is left out, since its nodes' plans say why. */
export async function firstContacts(topology: Topology, nodes: ReadonlyMap<NodeName, Reached>): Promise<readonly LinkContact[]> {
  const contacts: LinkContact[] = [];
  for (const link of directLinks(topology)) {
    const [parent, child] = [nodes.get(link.parent), nodes.get(link.child)];
    if (parent === undefined || child === undefined || !("node" in parent) || !("node" in child)) continue;
    const tables = await firstContact({ parent: parent.node, child: child.node, link, topology }).catch(() => []);
    if (tables.length > 0) contacts.push({ link, tables });
  }
  return contacts;
}

export function printContacts(contacts: readonly LinkContact[], out: Output): void {
  for (const { link, tables } of contacts) {
    const { parent, child } = link;
    out.line(`first contact ${linkName(link)}: both hold rows`);
    for (const { table, direction, equal, differing, onlyParent, onlyChild, isPartial } of tables) {
      const counts = [
        `${equal} equal`,
        `${differing} differ`,
        ...(direction === "up" ? [] : [`${onlyParent} only at ${parent}`]),
        `${onlyChild} only at ${child}`,
      ];
      out.line(`  ${table}: ${counts.join(", ")}${isPartial ? " (of the first rows; the table is large)" : ""}`);
    }
  }
}

export function contactsJson(contacts: readonly LinkContact[]): unknown {
  return contacts.map(({ link, tables }) => ({
    parent: link.parent,
    child: link.child,
    tables: tables.map(({ table, direction, equal, differing, onlyParent, onlyChild, isPartial }) => ({
      ...{ table, direction, equal, differ: differing, only_parent: direction === "up" ? null : onlyParent, only_child: onlyChild },
      partial: isPartial,
    })),
  }));
}
