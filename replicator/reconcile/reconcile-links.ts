import type { NodeName, TableName } from "../change/names.ts";
import { linkName, rootFirst } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { decidingGroups, decidingLinks } from "./deciding.ts";
import { isWhole, type Mark, marksOf } from "./marks.ts";
import { type LinkReport, type ReconcileOptions, reconcileLink } from "./reconcile-link.ts";

export interface ReconcileLinksOptions extends ReconcileOptions {
  readonly topology: Topology;
  readonly links: readonly TopologyLink[];
  /** Throws where the node cannot be had. */
  readonly node: (name: NodeName) => Promise<Node>;
  readonly onReport: (report: LinkResult) => void;
}

export interface LinkResult {
  readonly link: TopologyLink;
  readonly report: LinkReport | null;
  /** Why the link was not compared; undefined where it was. */
  readonly error: unknown;
}

interface NodeMark extends Mark {
  readonly node: Node;
}

/** Compares links one after the other, from the root down, so that what is repaired above is there before it is compared below. A link that fails holds up no other. */
export async function reconcileLinks(options: ReconcileLinksOptions): Promise<readonly LinkResult[]> {
  const { topology, signal } = options;
  const names = new Set(options.links.map(linkName));
  const ordered = rootFirst(topology).filter((link) => names.has(linkName(link)));
  const results: LinkResult[] = [];
  const marks = new Map<string, NodeMark>();
  for (const link of ordered) {
    if (signal.aborted) break;
    const result = await oneLink(options, link, marks);
    results.push(result);
    options.onReport(result);
  }
  await clearMarks(topology, { marks: [...marks.values()], results });
  return results;
}

async function oneLink(options: ReconcileLinksOptions, link: TopologyLink, marks: Map<string, NodeMark>): Promise<LinkResult> {
  try {
    const [parent, child] = await Promise.all([options.node(link.parent), options.node(link.child)]);
    // before anything is compared: a reason that comes later stays
    for (const node of [parent, child]) {
      for (const mark of await marksOf(node)) {
        const name = `${node.name}\0${mark.table}`;
        if (!marks.has(name)) marks.set(name, { node, ...mark });
      }
    }
    return { link, report: await reconcileLink({ parent, child, link, topology: options.topology }, options), error: undefined };
  } catch (error) {
    return { link, report: null, error };
  }
}

/** Whether all links that decide about a table of a node have found it equal. */
export function foundEqual(
  topology: Topology,
  { node, table }: { readonly node: NodeName; readonly table: TableName },
  results: readonly LinkResult[],
): boolean {
  return decidingLinks(topology, node, table).every((link) => {
    const report = results.find((result) => linkName(result.link) === linkName(link))?.report;
    return report?.tables.some((found) => found.name === table && isWhole(found)) === true;
  });
}

async function clearMarks(
  topology: Topology,
  { marks, results }: { readonly marks: readonly NodeMark[]; readonly results: readonly LinkResult[] },
): Promise<void> {
  for (const { node, table, reason } of marks) {
    // edges tell later, see `MarkedEdges`
    const linksDecide = decidingLinks(topology, node.name, table).length > 0 && decidingGroups(topology, node.name, table).length === 0;
    if (linksDecide && foundEqual(topology, { node: node.name, table }, results)) await node.reconciles.compared([{ table, reason }]);
  }
}
