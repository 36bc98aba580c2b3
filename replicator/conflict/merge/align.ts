import { diffIndices } from "node-diff3";
import { type Alignment, append, countTokens, type Tokens } from "./sequence.ts";
import { isTelling } from "./tokens.ts";

/** A pair of indices: in the base, in the side. */
type Pair = readonly [number, number];

/** Steps that one comparison may take; what takes more counts as rewritten as a whole. */
const MAX_STEPS = 4_000_000;

/**
 * Aligns a side with the base: first by the telling tokens that both hold exactly once (those say for certain what came from where),
 * between them by the longest common subsequence of telling tokens, and only then by what stands next to them. So a blank or
 * a bracket never ties together two texts that have nothing else in common.
 *
 * With `moves`, a telling token that both hold exactly once and that stands elsewhere is moved, together with equal neighbours.
 */
export function align(base: Tokens, side: Tokens, { moves }: { readonly moves: boolean }): Alignment {
  const from = new Int32Array(side.length).fill(-1);
  const last: Pair = [base.length, side.length];
  let previous: Pair = [-1, -1];
  for (const pair of [...tellingPairs(base, side), last]) {
    matchEnds(from, { base, side, after: previous, before: pair });
    if (pair !== last) from[pair[1]] = pair[0];
    previous = pair;
  }
  return { from, moved: moves ? findMoves(base, side, from) : new Set() };
}

/** What directly follows one matched token or directly precedes the next, as far as it is the same. */
function matchEnds(from: Int32Array, gap: { base: Tokens; side: Tokens; after: Pair; before: Pair }): void {
  const { base, side } = gap;
  let [b, s] = [gap.after[0] + 1, gap.after[1] + 1];
  let [bEnd, sEnd] = gap.before;
  while (b < bEnd && s < sEnd && base[b] === side[s]) from[s++] = b++;
  while (b < bEnd && s < sEnd && base[bEnd - 1] === side[sEnd - 1]) from[--sEnd] = --bEnd;
}

/** Matches of telling tokens, ascending in both. */
function tellingPairs(base: Tokens, side: Tokens): Pair[] {
  const [left, right] = [telling(base), telling(side)];
  const pairs: Pair[] = [];
  const last: Pair = [left.length, right.length];
  let [l, r] = [0, 0];
  for (const pair of [...uniquePairs(left, right), last]) {
    append(pairs, commonPairs(left.slice(l, pair[0]), right.slice(r, pair[1])));
    if (pair !== last) pairs.push([left[pair[0]]?.at ?? 0, right[pair[1]]?.at ?? 0]);
    [l, r] = [pair[0] + 1, pair[1] + 1];
  }
  return pairs;
}

interface Telling {
  readonly token: string;
  readonly at: number;
}

const telling = (tokens: Tokens): Telling[] => tokens.map((token, at) => ({ token, at })).filter(({ token }) => isTelling(token));

/** The longest ascending run of tokens that both sides hold exactly once. */
function uniquePairs(left: readonly Telling[], right: readonly Telling[]): Pair[] {
  const counts = countTokens(left.map(({ token }) => token));
  const places = new Map<string, number>();
  const rightCounts = countTokens(right.map(({ token }) => token));
  for (const [at, { token }] of right.entries()) if (rightCounts.get(token) === 1) places.set(token, at);
  const pairs: Pair[] = [];
  for (const [at, { token }] of left.entries()) {
    const other = places.get(token);
    if (other !== undefined && counts.get(token) === 1) pairs.push([at, other]);
  }
  return longestAscending(pairs);
}

/** By patience sorting: ascending in the first already, longest in the second. */
function longestAscending(pairs: readonly Pair[]): Pair[] {
  interface Link {
    readonly pair: Pair;
    readonly before: Link | undefined;
  }
  const tops: Link[] = [];
  for (const pair of pairs) {
    let [low, high] = [0, tops.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((tops[middle]?.pair[1] ?? 0) < pair[1]) low = middle + 1;
      else high = middle;
    }
    tops[low] = { pair, before: tops[low - 1] };
  }
  const run: Pair[] = [];
  for (let link = tops.at(-1); link !== undefined; link = link.before) run.push(link.pair);
  return run.reverse();
}

/** The longest common subsequence between two certain matches. */
function commonPairs(left: readonly Telling[], right: readonly Telling[]): Pair[] {
  if (left.length === 0 || right.length === 0 || left.length * right.length > MAX_STEPS) return [];
  const pairs: Pair[] = [];
  let [l, r] = [0, 0];
  const tokens = (some: readonly Telling[]): string[] => some.map(({ token }) => token);
  const end = { buffer1: [left.length, 0], buffer2: [right.length, 0] } as const;
  for (const { buffer1, buffer2 } of [...diffIndices(tokens(left), tokens(right)), end]) {
    while (l < buffer1[0]) pairs.push([left[l++]?.at ?? 0, right[r++]?.at ?? 0]);
    [l, r] = [buffer1[0] + buffer1[1], buffer2[0] + buffer2[1]];
  }
  return pairs;
}

/** Adds the moved tokens to `from` and returns their indices in the base. */
function findMoves(base: Tokens, side: Tokens, from: Int32Array): Set<number> {
  const taken = new Set(from);
  const moved = new Set<number>();
  const move = (b: number, s: number): boolean => {
    if (base[b] === undefined || base[b] !== side[s] || from[s] !== -1 || taken.has(b)) return false;
    from[s] = b;
    taken.add(b);
    moved.add(b);
    return true;
  };
  const [inBase, inSide] = [countTokens(base), countTokens(side)];
  const places = new Map(base.map((token, at) => [token, at]));
  for (const [s, token] of side.entries()) {
    if (inBase.get(token) !== 1 || inSide.get(token) !== 1 || !isTelling(token)) continue;
    const b = places.get(token) ?? 0;
    if (!move(b, s)) continue;
    for (let by = 1; move(b - by, s - by); by++);
    for (let by = 1; move(b + by, s + by); by++);
  }
  return moved;
}
