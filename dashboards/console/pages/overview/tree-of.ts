import type { EdgeStatus, LinkStatus, NodeStatus, Status } from "../../api/types.ts";

/** A node or an edge, the link to its parent, and what is below it. */
export interface Branch {
  readonly name: string;
  /** Null for an edge. */
  readonly node: NodeStatus | null;
  /** Null for the hub and for edges. */
  readonly link: LinkStatus | null;
  readonly edge: EdgeStatus | null;
  readonly below: readonly Branch[];
}

export function treeOf({ nodes, links, edges }: Status): readonly Branch[] {
  const named = new Map(nodes.map((node) => [node.name, node]));
  const branch = (name: string, link: LinkStatus | null): Branch => ({
    name,
    node: named.get(name) ?? null,
    link,
    edge: null,
    below: [
      ...links.filter(({ parent }) => parent === name).map((each) => branch(each.child, each)),
      ...edges
        .filter(({ parent }) => parent === name)
        .map((edge): Branch => ({ name: edge.edge, node: null, link: null, edge, below: [] }))
        .sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true })),
    ],
  });
  const children = new Set(links.map(({ child }) => child));
  return nodes.filter(({ name }) => !children.has(name)).map(({ name }) => branch(name, null));
}

/** What is to be said of a branch in a word: that of its node where it is not up, else that of its link. */
export function stateOf({ node, link, edge }: Branch): string {
  if (edge !== null) return edge.state;
  if (node !== null && node.state !== "up") return node.state;
  return link?.state ?? "up";
}

/** Branches whose names, or those of something below, hold the text. */
export function filterTree(branches: readonly Branch[], text: string): readonly Branch[] {
  if (text === "") return branches;
  const wanted = text.toLowerCase();
  return branches.flatMap((branch) => {
    if (branch.name.toLowerCase().includes(wanted)) return [branch];
    const below = filterTree(branch.below, text);
    return below.length === 0 ? [] : [{ ...branch, below }];
  });
}
