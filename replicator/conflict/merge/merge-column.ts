import { sameValue } from "../../change/value.ts";
import type { MergeKind } from "../../change/verdict.ts";
import { mergeCounter } from "./counter.ts";
import { mergeExtreme } from "./extreme.ts";
import { mergeJson } from "./json.ts";
import type { ColumnEdits, Merged } from "./merged.ts";
import { mergeSet } from "./set.ts";
import { mergeText } from "./text.ts";

export type { ColumnEdits, Merged } from "./merged.ts";

const MERGES: { readonly [kind in MergeKind]: (edits: ColumnEdits) => Merged } = {
  text: mergeText,
  json: mergeJson,
  set: mergeSet,
  counter: mergeCounter,
  max: (edits) => mergeExtreme("max", edits),
  min: (edits) => mergeExtreme("min", edits),
};

/**
 * Brings two edits of one column together. Pure: the same edits give the same value, on every node.
 *
 * What only one side changed is that side's, whatever the kind; the same edit on both sides is no overlap, and of a counter it is two edits.
 */
export function mergeColumn(kind: MergeKind, edits: ColumnEdits): Merged {
  const { base, parent, child } = edits;
  if (sameValue(parent, child) && (kind !== "counter" || base === undefined || parent === null)) return { value: parent };
  if (base !== undefined && sameValue(base, parent)) return { value: child };
  if (base !== undefined && sameValue(base, child)) return { value: parent };
  return MERGES[kind](edits);
}
