import type { Op } from "../change/change.ts";

/**
 * What a change is to a reader who is given some rows only. `old` and `new` are the images where the row is one of the reader's before and
 * after the change, and null where it is not.
 *
 * | the change | before and after | only before | only after | neither |
 * |---|---|---|---|---|
 * | I, U, D | as it is | D | I | nothing |
 * | R | – | – | as it is | R: there is no such row |
 */
export function scopedOp(op: Op, images: { readonly old: unknown; readonly new: unknown }): Op | null {
  if (op === "R" || op === "T") return op;
  if (images.old === null) return images.new === null ? null : "I";
  return images.new === null ? "D" : op;
}
