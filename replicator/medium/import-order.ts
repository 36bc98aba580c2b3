import { missingFile } from "./medium-errors.ts";
import { type MediumState, placeOf } from "./medium-state.ts";
import type { MediumReader } from "./read-medium.ts";

/** A medium that has been verified. */
export interface Verified {
  readonly medium: MediumReader;
  readonly digest: string;
}

/**
 * Media of one source, given in any order, as they are to be taken. A gap is named before anything is taken. Throws `MEDIUM_GAP` (operator).
 */
export function inOrder(given: readonly Verified[], state: MediumState): readonly Verified[] {
  const sorted = [...given].sort((a, b) => a.medium.head.number - b.medium.head.number);
  let next = state.taken.number + 1;
  for (const { medium, digest } of sorted) {
    const { number, previous, source } = medium.head;
    if (placeOf(state, { number, previous, digest }) === "old" || number < next) continue;
    if (number > next) throw missingFile(medium.file, range(next, number), source);
    next = number + 1;
  }
  return sorted;
}

const range = (from: number, before: number): number[] => Array.from({ length: Math.min(before - from, 20) }, (_, at) => from + at);
