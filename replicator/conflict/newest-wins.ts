import type { Decide } from "./decision.ts";

/**
 * The later change wins, by the parent's clock; of two at the same microsecond, the one of the node whose name sorts last (by
 * code units, the same everywhere). Without both times the parent wins.
 */
export const newestWins: Decide = ({ parentChangedAt, childChangedAt, parentNode, childNode }) => {
  if (childChangedAt === null) return { winner: "parent", reason: "The clocks are too far apart to compare; the parent's change stands." };
  if (parentChangedAt === null)
    return { winner: "parent", reason: "The time of the parent's change is not known; the parent's change stands." };
  const apart = childChangedAt - parentChangedAt;
  if (apart > 0) return { winner: "child", reason: `The child's change is newer by ${seconds(apart)}.` };
  if (apart < 0) return { winner: "parent", reason: `The parent's change is newer by ${seconds(-apart)}.` };
  const winner = childNode > parentNode ? "child" : "parent";
  return { winner, reason: `Both changes are of the same time; ${winner === "child" ? childNode : parentNode} is the greater name.` };
};

const seconds = (microseconds: number): string => `${(microseconds / 1e6).toFixed(6)} s`;
