import { pairUp } from "./pair-up.ts";
import type { Alignment, Item, Tokens } from "./sequence.ts";

/** What one side made of a stretch of the base. */
export interface Edit {
  readonly side: "parent" | "child";
  readonly start: number;
  readonly end: number;
  readonly items: readonly Item[];
}

/** From 0, nothing to do with each other, to 1, the same. */
export type Likeness = (before: string, now: string) => number;

/**
 * A side's edits, ascending; none overlaps another. A rewritten stretch is taken apart into what became of each of its tokens, as far
 * as that can be told by their likeness. Tokens that the side moved away are in no edit: they stand until they are moved.
 */
export function editsOf(side: Edit["side"], sequences: { base: Tokens; tokens: Tokens }, alignment: Alignment, likeness: Likeness): Edit[] {
  const { base, tokens } = sequences;
  const { from, moved } = alignment;
  const edits: Edit[] = [];
  let [nextBase, next] = [0, 0];
  for (let at = 0; at <= tokens.length; at++) {
    const origin = at === tokens.length ? base.length : (from[at] ?? -1);
    if (origin < 0 || moved.has(origin)) continue;
    const items = tokens.slice(next, at).map((token, by): Item => {
      const came = from[next + by] ?? -1;
      return came < 0 ? token : came;
    });
    for (const edit of takeApart(base, { start: nextBase, end: origin, items }, moved, likeness)) edits.push({ side, ...edit });
    [nextBase, next] = [origin + 1, at + 1];
  }
  return edits;
}

type Change = Omit<Edit, "side">;

function takeApart(base: Tokens, { start, end, items }: Change, moved: ReadonlySet<number>, likeness: Likeness): Change[] {
  const standing = Array.from({ length: end - start }, (_, by) => start + by).filter((at) => !moved.has(at));
  const like = (left: number, right: number): number => {
    const [before, now] = [base[standing[left] ?? -1], items[right]];
    return before === undefined || typeof now !== "string" ? 0 : likeness(before, now);
  };
  const changes: Change[] = [];
  let [at, item] = [start, 0];
  for (const [left, right] of pairUp(standing.length, items.length, like)) {
    const index = standing[left] ?? start;
    changes.push(...withoutMoved(trimmed(base, { start: at, end: index, items: items.slice(item, right) }, moved), moved));
    if (items[right] !== base[index]) changes.push({ start: index, end: index + 1, items: items.slice(right, right + 1) });
    [at, item] = [index + 1, right + 1];
  }
  changes.push(...withoutMoved(trimmed(base, { start: at, end, items: items.slice(item) }, moved), moved));
  return changes;
}

/** Without what is the same at both ends: it stands beside what belongs together. */
function trimmed(base: Tokens, { start, end, items }: Change, moved: ReadonlySet<number>): Change {
  const stands = (item: Item | undefined, at: number): boolean => item === base[at] && !moved.has(at);
  let [from, to] = [0, items.length];
  while (start < end && from < to && stands(items[from], start)) {
    start++;
    from++;
  }
  while (start < end && from < to && stands(items[to - 1], end - 1)) {
    end--;
    to--;
  }
  return { start, end, items: items.slice(from, to) };
}

/** The stretches between moved tokens; what was put in goes to the first. */
function withoutMoved({ start, end, items }: Change, moved: ReadonlySet<number>): Change[] {
  const stretches: { start: number; end: number }[] = [];
  for (let at = start; at < end; at++) {
    if (moved.has(at)) continue;
    const last = stretches.at(-1);
    if (last?.end === at) last.end = at + 1;
    else stretches.push({ start: at, end: at + 1 });
  }
  const [first = { start, end: start }, ...rest] = stretches;
  if (first.start === first.end && items.length === 0) return [];
  return [{ ...first, items }, ...rest.map((stretch) => ({ ...stretch, items: [] }))];
}
