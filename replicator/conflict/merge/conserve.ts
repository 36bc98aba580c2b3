import { countTokens, type Tokens } from "./sequence.ts";

export interface Merge {
  readonly base: Tokens;
  readonly parent: Tokens;
  readonly child: Tokens;
  readonly merged: Tokens;
}

/*
 * The proof of a merge, independent of how it was made. Edits of both sides in different places add up, the same edit on both sides
 * counts once: that says how often each token may be in the result, and how often it must.
 */

/** True where a token that a side has added is missing. */
export const lacks = (merge: Merge): boolean => !everyCount(merge, ({ found, least }) => found >= least);

/** True where a token that a side has taken out is back, or one is there more often than both sides' edits explain. New tokens do not count. */
export const hasExcess = (merge: Merge): boolean => !everyCount(merge, ({ found, most }) => found <= most);

interface Counted {
  readonly found: number;
  readonly least: number;
  readonly most: number;
}

function everyCount({ base, parent, child, merged }: Merge, holds: (counted: Counted) => boolean): boolean {
  const [before, ours, theirs] = [countTokens(base), countTokens(parent), countTokens(child)];
  const after = countTokens(merged);
  for (const token of new Set([...before.keys(), ...ours.keys(), ...theirs.keys()])) {
    const [least, most] = bounds(before.get(token) ?? 0, ours.get(token) ?? 0, theirs.get(token) ?? 0);
    if (!holds({ found: after.get(token) ?? 0, least, most })) return false;
  }
  return true;
}

function bounds(base: number, parent: number, child: number): [least: number, most: number] {
  const sum = Math.max(parent + child - base, 0);
  if (parent >= base && child >= base) return [Math.max(parent, child), sum];
  if (parent <= base && child <= base) return [sum, Math.min(parent, child)];
  return [Math.min(sum, parent, child), Math.max(sum, parent, child)];
}
