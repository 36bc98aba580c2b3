import type { Row } from "../change/value.ts";
import type { Clash, ConflictKind, Resolution, SimplePolicy, Verdict } from "../change/verdict.ts";
import { childWins } from "./child-wins.ts";
import type { Decide, Decision } from "./decision.ts";
import type { Unit } from "./edits.ts";
import { manual } from "./manual.ts";
import { newestWins } from "./newest-wins.ts";
import { parentWins } from "./parent-wins.ts";

/** A conflict that is to be decided, with what either side's win would make of the row; `undefined` where that is not known well enough. */
export interface Contest {
  readonly clash: Clash;
  readonly kind: ConflictKind;
  /** The parent's row, with what the child alone changed. */
  readonly parent: Row | null;
  readonly child: Row | null | undefined;
  readonly base: Row | null | undefined;
  /** What both sides claim; missing where it is the row as a whole. */
  readonly contested?: readonly Unit[];
}

const POLICIES: { readonly [policy in SimplePolicy]: Decide } = {
  parent_wins: parentWins,
  child_wins: childWins,
  newest_wins: newestWins,
  manual,
};

/** Decides by one of the policies that look at nothing but the two sides. */
export function settleBy(policy: SimplePolicy, contest: Contest): Verdict {
  const wish = POLICIES[policy](contest.clash);
  const decision: Decision = wish.winner === "child" && contest.child === undefined ? INCOMPLETE : wish;
  const result = decision.winner === "child" && contest.child !== undefined ? contest.child : contest.parent;
  return decided(contest, { result, resolution: decision.winner, reason: decision.reason });
}

/**
 * The child is told the outcome even when it wins: the change that lost is in the parent's log, perhaps not sent yet,
 * and would otherwise be the last that the child hears of the row.
 */
export function decided(
  { kind, contested }: Pick<Contest, "kind" | "contested">,
  { result, resolution, reason }: { readonly result: Row | null; readonly resolution: Resolution; readonly reason: string },
): Verdict {
  const columns = contested?.flat();
  const conflict = { kind, resolution, reason: columns ? `${reason} (${columns.join(", ")})` : reason, ...(columns && { columns }) };
  return { result, conflict, refresh: true };
}

const INCOMPLETE: Decision = {
  winner: "parent",
  reason: "The child's change would win, but its row is not known as a whole; the parent's stays.",
};
