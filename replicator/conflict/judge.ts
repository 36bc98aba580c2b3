import { type Row, sameValue } from "../change/value.ts";
import type { Clash, Judge, Verdict } from "../change/verdict.ts";
import { type Contest, settleBy } from "./contest.ts";
import { agree, type Edit, edited, editsOf, knows, pick, type Unit } from "./edits.ts";
import { mergeContest, mergeKindOf } from "./merge-contest.ts";
import { moduleContest } from "./module-contest.ts";
import type { ModuleRunner } from "./module-runner.ts";

/**
 * Decides what a parent's row is to be after a child's change, and whether the two sides conflicted.
 *
 * Both sides' edits are measured against the base, the row as the child knew it:
 *
 * | the child | the parent | |
 * |---|---|---|
 * | changed it | left it | the child's value applies |
 * | left it, or changed it back | changed it | the parent's value stays; the child is told |
 * | changed it | changed it to the same | nothing to do (of a counter, both differences count) |
 * | changed it | changed it to another | a conflict: the table's policy decides |
 *
 * "It" is each column that the child's change names, or each group of columns that belong together (`detect: column`), or the row
 * (`detect: row`, and every insert and delete). Pure but for the user's modules, which `runner` asks.
 */
export function createJudge(runner: ModuleRunner): Judge {
  const settle = (contest: Contest, whole: Contest = contest): Verdict => {
    const { policy } = contest.clash;
    if (policy === "merge") return mergeContest(contest, whole);
    if (policy === "module") return moduleContest(contest, whole, runner);
    return settleBy(policy, contest);
  };
  return (clash) => {
    switch (clash.op) {
      case "I":
        return judgeInsert(clash, settle);
      case "D":
        return judgeDelete(clash, settle);
      case "U":
        if (clash.parent === null) return judgeUpdateOfNothing(clash, settle);
        return judgeUpdate(clash, clash.parent, settle);
    }
  };
}

/** Decides the contest; `whole` is the same for the row as a whole, for when the outcome is refused. */
type Settle = (contest: Contest, whole?: Contest) => Verdict;

function judgeInsert(clash: Clash, settle: Settle): Verdict {
  const { child, parent } = clash;
  if (parent === null) return peace(child, false);
  if (agree(child, parent)) return peace(parent, false);
  const whole: Contest = { clash, kind: "insert_insert", parent, child: { ...parent, ...child }, base: null };
  return settle(clash.policy === "merge" ? { ...whole, contested: contestedOf(clash, editsOf(clash, parent)) } : whole, whole);
}

function judgeDelete(clash: Clash, settle: Settle): Verdict {
  const { base, parent } = clash;
  if (parent === null) return peace(null, false);
  // a base that is not known may have been anything: the row is not removed on a guess
  if (base !== null && agree(base, parent)) return peace(null, false);
  return settle({ clash, kind: "update_delete", parent, child: null, base: base === null ? undefined : { ...parent, ...base } });
}

function judgeUpdateOfNothing(clash: Clash, settle: Settle): Verdict {
  if (edited(clash).length === 0) return peace(null, true);
  const known = (row: Row | null): Row | null | undefined => (clash.wholeChild ? row : undefined);
  return settle({ clash, kind: "delete_update", parent: null, child: known(clash.child), base: known(clash.base) });
}

function judgeUpdate(clash: Clash, parent: Row, settle: Settle): Verdict {
  const { base, child, detect } = clash;
  const edits = editsOf(clash, parent);
  const contested = contestedOf(clash, edits);
  const childsOwn = edits.filter(({ byChild, byParent }) => byChild && !byParent).flatMap(({ unit }) => unit);
  const combined = { ...parent, ...pick(child, childsOwn) };
  const whole: Contest = {
    clash,
    kind: "update_update",
    parent,
    child: clash.wholeChild ? { ...parent, ...child } : undefined,
    base: base !== null && knows(base, Object.keys(parent)) ? { ...parent, ...base } : undefined,
  };
  if (detect === "row") {
    if (agree(child, parent) && contested.length === 0) return peace(parent, false);
    if (edited(clash).length === 0) return peace(parent, true);
    if (base !== null && agree(base, parent)) return peace({ ...parent, ...pick(child, clash.changed) }, false);
    return settle(clash.policy === "merge" ? { ...whole, parent: combined, contested } : whole, whole);
  }
  if (contested.length === 0) {
    const verdict = peace(
      combined,
      clash.changed.some((column) => !sameValue(combined[column], child?.[column])),
    );
    if (childsOwn.length === 0 || !edits.some(({ byParent }) => byParent)) return verdict;
    // each side's row was right by itself: where both together are not, one of them has to do
    const alone = settleBy(simpleOf(clash), whole);
    return { ...verdict, ifRefused: { by: clash.policy === "merge" ? "any" : "check", verdict: alone } };
  }
  const columns = contested.flat();
  const contest: Contest = {
    ...whole,
    parent: combined,
    child: knows(child, columns) ? { ...combined, ...pick(child, columns) } : undefined,
    base: knows(base, columns) ? { ...combined, ...pick(base, columns) } : undefined,
    contested,
  };
  return settle(contest, whole);
}

/** What both sides changed, each to something else. Two equal edits of a counter are two edits. */
function contestedOf(clash: Clash, edits: readonly Edit[]): Unit[] {
  const counts = ([column = ""]: Unit): boolean => clash.policy === "merge" && mergeKindOf(clash, column) === "counter";
  return edits
    .filter(({ unit, byChild, byParent, differs }) => byChild && byParent && (differs || (clash.base !== null && counts(unit))))
    .map(({ unit }) => unit);
}

/** What decides where neither merging nor a module can. */
const simpleOf = ({ policy, otherwise }: Clash): Parameters<typeof settleBy>[0] =>
  policy === "merge" || policy === "module" ? otherwise : policy;

/** No conflict. */
const peace = (result: Row | null, refresh: boolean): Verdict => ({ result, conflict: null, refresh });
