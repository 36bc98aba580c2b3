import type { NodeName } from "../change/names.ts";
import { directLinks } from "../lifecycle/tree.ts";
import type { Reached } from "../observability/status-report.ts";
import { type FirstContact, firstContact } from "../reconcile/first-contact.ts";
import type { Direction, Topology, TopologyLink } from "../topology/topology.ts";

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

/** The same as JSON answers carry it. */
export interface ContactReport {
  readonly parent: string;
  readonly child: string;
  readonly tables: readonly {
    readonly table: string;
    readonly direction: Direction;
    readonly equal: number;
    readonly differ: number;
    /** Null where rows go up only. */
    readonly only_parent: number | null;
    readonly only_child: number;
    /** Of the first rows: the table is large. */
    readonly partial: boolean;
  }[];
}

export const contactsReport = (contacts: readonly LinkContact[]): readonly ContactReport[] =>
  contacts.map(({ link, tables }) => ({
    parent: link.parent,
    child: link.child,
    tables: tables.map(({ table, direction, equal, differing, onlyParent, onlyChild, isPartial }) => ({
      ...{ table, direction, equal, differ: differing, only_parent: direction === "up" ? null : onlyParent, only_child: onlyChild },
      partial: isPartial,
    })),
  }));
