import type { Status } from "../../api/types.ts";

/** Two neighbours of which one may become a copy of the other. */
export interface Partners {
  /** PARENT/CHILD. */
  readonly link: string;
  readonly parent: string;
  readonly child: string;
  readonly isEdge: boolean;
  /** Of the link. */
  readonly state: string;
}

/** Every link, from the hub downwards, then the edges that have come. */
export const partnersOf = ({ links, edges }: Status): readonly Partners[] => [
  ...links.map(({ parent, child, state }) => ({ link: `${parent}/${child}`, parent, child, isEdge: false, state })),
  ...edges.map(({ parent, edge, state }) => ({ link: `${parent}/${edge}`, parent, child: edge, isEdge: true, state })),
];

/** Who becomes a copy, and of whom. */
export function roles(
  { parent, child }: Pick<Partners, "parent" | "child">,
  direction: "pull" | "push",
): { readonly source: string; readonly target: string } {
  return direction === "pull" ? { source: parent, target: child } : { source: child, target: parent };
}
