import type { Row, Value } from "../change/value.ts";
import type { MergeKind, Verdict } from "../change/verdict.ts";
import { type Contest, decided, settleBy } from "./contest.ts";
import { pick, type Unit } from "./edits.ts";
import { mergeColumn } from "./merge/merge-column.ts";

/**
 * Brings both sides' edits of every contested unit together. A column that the topology says how to merge is merged; a group, and
 * what overlaps, goes to the policy of `otherwise`, and the rest of the row is merged all the same.
 */
export function mergeContest(contest: Contest, whole: Contest): Verdict {
  const { clash, parent, contested = [] } = contest;
  if (parent === null || clash.child === null) return settleBy(clash.otherwise, contest);
  const merged: [column: string, value: Value][] = [];
  const open: { readonly unit: Unit; readonly why: string }[] = [];
  for (const unit of contested) {
    const outcome = mergeUnit(contest, unit, parent);
    if ("value" in outcome) merged.push([unit[0] as string, outcome.value]);
    else open.push({ unit, why: outcome.overlap });
  }
  const row: Row = { ...parent, ...Object.fromEntries(merged) };
  const names = merged.map(([column]) => column);
  const verdict =
    open.length === 0 ? decided(contest, { result: row, resolution: "merged", reason: "Merged." }) : rest(contest, { row, names, open });
  return { ...verdict, ifRefused: { by: "any", verdict: settleBy(clash.otherwise, whole) } };
}

/** How a column is merged; undefined where the topology does not say. Names are matched as SQLite does where none is the very same. */
export function mergeKindOf({ mergeColumns }: Contest["clash"], column: string): MergeKind | undefined {
  if (Object.hasOwn(mergeColumns, column)) return mergeColumns[column];
  return Object.entries(mergeColumns).find(([name]) => name.toLowerCase() === column.toLowerCase())?.[1];
}

function mergeUnit({ clash }: Contest, unit: Unit, parent: Row): ReturnType<typeof mergeColumn> {
  const [column = ""] = unit;
  if (unit.length > 1) return { overlap: "both sides changed the group" };
  const kind = mergeKindOf(clash, column);
  if (kind === undefined) return { overlap: "both sides changed it" };
  return mergeColumn(kind, { base: clash.base?.[column], parent: parent[column] ?? null, child: clash.child?.[column] ?? null });
}

/** What could not be merged, by the policy of `otherwise`. */
function rest(
  { clash, kind, contested }: Contest,
  partly: { readonly row: Row; readonly names: readonly string[]; readonly open: readonly { readonly unit: Unit; readonly why: string }[] },
): Verdict {
  const { row, names, open } = partly;
  const overlapping = open.map(({ unit }) => unit);
  const child = { ...row, ...pick(clash.child, overlapping.flat()) };
  const verdict = settleBy(clash.otherwise, { clash, kind, parent: row, child, base: undefined, contested: overlapping });
  const { conflict } = verdict;
  if (conflict === null) return verdict;
  const why = open.map(({ unit, why: reason }) => `${unit.join(", ")}: ${reason}`).join("; ");
  const reason = `${names.length > 0 ? `Merged (${names.join(", ")}). ` : ""}Not merged: ${why}. ${conflict.reason}`;
  // what waits for a person is only what overlaps; what was decided may be decided again as a whole
  if (conflict.resolution === "open") return { ...verdict, conflict: { ...conflict, reason } };
  const resolution = names.length > 0 ? "merged" : conflict.resolution;
  return { ...verdict, conflict: { ...conflict, resolution, reason, columns: (contested ?? overlapping).flat() } };
}
