/** An index of the one list and one of the other. */
export type Pair = readonly [left: number, right: number];

/** Beyond it, a rewritten stretch stays one. */
const MAX_COMPARISONS = 1_000;

/**
 * Pairs what was edited with what became of it, in order, so that the sum of the likenesses is the greatest. `likeness` is 0 for two that have nothing
 * to do with each other.
 */
export function pairUp(left: number, right: number, likeness: (left: number, right: number) => number): Pair[] {
  if (left === 0 || right === 0 || left * right > MAX_COMPARISONS) return [];
  const like = Array.from({ length: left }, (_, l) => Array.from({ length: right }, (_, r) => likeness(l, r)));
  const at = (table: readonly (readonly number[])[], l: number, r: number): number => table[l]?.[r] ?? 0;
  // best[l][r]: the greatest sum for what is from l and from r on
  const best = Array.from({ length: left + 1 }, () => new Array<number>(right + 1).fill(0));
  for (let l = left - 1; l >= 0; l--) {
    for (let r = right - 1; r >= 0; r--) {
      const paired = at(like, l, r) > 0 ? at(like, l, r) + at(best, l + 1, r + 1) : 0;
      (best[l] ?? [])[r] = Math.max(paired, at(best, l + 1, r), at(best, l, r + 1));
    }
  }
  const pairs: Pair[] = [];
  for (let [l, r] = [0, 0]; l < left && r < right; ) {
    if (at(like, l, r) > 0 && at(best, l, r) === at(like, l, r) + at(best, l + 1, r + 1)) pairs.push([l++, r++]);
    else if (at(best, l, r) === at(best, l + 1, r)) l++;
    else r++;
  }
  return pairs;
}
