import { type Row, sameValue } from "../change/value.ts";
import type { Clash, ConflictKind, Judge, Policy, Verdict } from "../change/verdict.ts";
import { childWins } from "./child-wins.ts";
import type { Decide, Decision } from "./decision.ts";
import { newestWins } from "./newest-wins.ts";
import { parentWins } from "./parent-wins.ts";

/**
 * Decides what a parent's row is to be after a child's change, and whether the two sides conflicted.
 *
 * Both sides' edits are measured against the base, the row as the child knew it:
 *
 * | the child | the parent | |
 * |---|---|---|
 * | changed it | left it | the child's value applies |
 * | left it, or changed it back | changed it | the parent's value stays; the child is told |
 * | changed it | changed it to the same | nothing to do |
 * | changed it | changed it to another | a conflict: the table's policy decides |
 *
 * "It" is each column that the child's change names (`detect: column`), or the row (`detect: row`, and every insert and delete).
 */
export const judge: Judge = (clash) => {
  switch (clash.op) {
    case "I":
      return judgeInsert(clash);
    case "D":
      return judgeDelete(clash);
    case "U":
      if (clash.parent === null) return judgeUpdateOfNothing(clash);
      return clash.detect === "row" ? judgeUpdateOfRow(clash, clash.parent) : judgeUpdateOfColumns(clash, clash.parent);
  }
};

const POLICIES: { readonly [policy in Policy]: Decide } = { parent_wins: parentWins, child_wins: childWins, newest_wins: newestWins };

function judgeInsert(clash: Clash): Verdict {
  const { child, parent } = clash;
  if (parent === null) return peace(child, false);
  if (agree(child, parent)) return peace(parent, false);
  return settle(clash, "insert_insert", { parent, child: { ...parent, ...child } });
}

function judgeDelete(clash: Clash): Verdict {
  const { base, parent } = clash;
  if (parent === null) return peace(null, false);
  // a base that is not known may have been anything: the row is not removed on a guess
  if (base !== null && agree(base, parent)) return peace(null, false);
  return settle(clash, "update_delete", { parent, child: null });
}

function judgeUpdateOfNothing(clash: Clash): Verdict {
  if (edited(clash).length === 0) return peace(null, true);
  return settle(clash, "delete_update", { parent: null, child: clash.wholeChild ? clash.child : undefined });
}

function judgeUpdateOfRow(clash: Clash, parent: Row): Verdict {
  const { base, child } = clash;
  if (agree(child, parent)) return peace(parent, false);
  if (edited(clash).length === 0) return peace(parent, true);
  if (base !== null && agree(base, parent)) return peace({ ...parent, ...pick(child, clash.changed) }, false);
  return settle(clash, "update_update", { parent, child: clash.wholeChild ? { ...parent, ...child } : undefined });
}

function judgeUpdateOfColumns(clash: Clash, parent: Row): Verdict {
  const { base, child } = clash;
  const differing = edited(clash).filter((column) => !sameValue(parent[column], child?.[column]));
  const clean = differing.filter((column) => sameValue(parent[column], base?.[column]));
  const contested = differing.filter((column) => !clean.includes(column));
  const merged = { ...parent, ...pick(child, clean) };
  if (contested.length === 0) {
    return peace(
      merged,
      clash.changed.some((column) => !sameValue(merged[column], child?.[column])),
    );
  }
  return settle(clash, "update_update", { parent: merged, child: { ...merged, ...pick(child, contested) } }, contested);
}

/** No conflict. */
const peace = (result: Row | null, refresh: boolean): Verdict => ({ result, conflict: null, refresh });

/**
 * A conflict, with what either side's win would make of the row; `undefined` where the child's row is not known well enough to win.
 *
 * The child is told the outcome even when it wins: the change that lost is in the parent's log, perhaps not sent yet,
 * and would otherwise be the last that the child hears of the row.
 */
function settle(
  clash: Clash,
  kind: ConflictKind,
  rows: { parent: Row | null; child: Row | null | undefined },
  columns?: readonly string[],
): Verdict {
  const wish = POLICIES[clash.policy](clash);
  const decision: Decision = wish.winner === "child" && rows.child === undefined ? INCOMPLETE : wish;
  const result = decision.winner === "child" && rows.child !== undefined ? rows.child : rows.parent;
  const reason = columns ? `${decision.reason} (${columns.join(", ")})` : decision.reason;
  return { result, conflict: { kind, resolution: decision.winner, reason }, refresh: true };
}

const INCOMPLETE: Decision = {
  winner: "parent",
  reason: "The child's change would win, but its row is not known as a whole; the parent's stays.",
};

/** The columns that the child's change names and that it did change: one that went away and came back is no edit. */
const edited = ({ changed, base, child }: Clash): string[] => changed.filter((column) => !sameValue(base?.[column], child?.[column]));

/** Whether the row holds what is known in `image`. */
const agree = (image: Row | null, row: Row): boolean =>
  Object.entries(image ?? {}).every(([column, value]) => sameValue(value, row[column]));

const pick = (row: Row | null, columns: readonly string[]): Row =>
  Object.fromEntries(columns.flatMap((column) => (row && Object.hasOwn(row, column) ? [[column, row[column] ?? null]] : [])));
