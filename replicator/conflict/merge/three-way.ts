import { type Edit, editsOf, type Likeness } from "./edits.ts";
import { overlap } from "./merged.ts";
import { placeMoved } from "./moved.ts";
import { type Alignment, append, type Item, type Joined, type Piece, type Tokens } from "./sequence.ts";

/** The same stretch of all three. */
export interface Region {
  /** Index of its first token in the base. */
  readonly start: number;
  readonly base: Tokens;
  readonly parent: Tokens;
  readonly child: Tokens;
}

export interface ThreeWay {
  readonly base: Tokens;
  readonly parent: Tokens;
  readonly child: Tokens;
  align(base: Tokens, side: Tokens): Alignment;
  /** What becomes of a stretch that both sides changed in different ways. */
  resolve(region: Region): Joined;
  /** Above 0 where `now` is still the thing that `before` was, edited, rather than another in its place. */
  readonly likeness: Likeness;
  /** Whether an insertion right beside this stretch of the base belongs to it. */
  holdsNeighbours?(stretch: Tokens): boolean;
}

/**
 * Merges two edited sequences against their base.
 *
 * Edits of different stretches both apply. Two insertions at the same place both stay, the one that sorts first goes first; one that
 * the other side has made as well stays once. Two deletions that overlap are one. What is moved by one side and edited by the other is edited where it
 * went. Everything else that overlaps goes to `resolve`. Swapping the two sides changes nothing.
 */
export function mergeSequences(input: ThreeWay): Joined {
  const { base, likeness } = input;
  const [ours, theirs] = [input.align(base, input.parent), input.align(base, input.child)];
  const parent = editsOf("parent", { base, tokens: input.parent }, ours, likeness);
  const child = editsOf("child", { base, tokens: input.child }, theirs, likeness);
  const edits = [...parent, ...child].sort(byPlace);
  const pieces: Piece[] = [];
  let done = 0;
  for (const group of groups(edits, input)) {
    const [first] = group;
    const [start, end] = [first?.start ?? 0, endOf(group)];
    if (done < start) pieces.push({ start: done, end: start, items: base.slice(done, start), kept: true });
    const items = itemsOf(group, { input, start, end });
    if ("overlap" in items) return items;
    pieces.push({ start, end, items: items.items, kept: false });
    done = end;
  }
  if (done < base.length) pieces.push({ start: done, end: base.length, items: base.slice(done), kept: true });
  return placeMoved(pieces, { base, moved: new Set([...ours.moved, ...theirs.moved]), likeness });
}

/** An insertion goes before the change of what follows it. */
const byPlace = (a: Edit, b: Edit): number => a.start - b.start || Math.min(a.end - a.start, 1) - Math.min(b.end - b.start, 1);

/** Puts edits that overlap into one group: those that change a token in common, insertions into what is changed, insertions at one place. */
function groups(edits: readonly Edit[], { base, holdsNeighbours }: ThreeWay): Edit[][] {
  const found: Edit[][] = [];
  let end = -1;
  for (const edit of edits) {
    const last = found.at(-1);
    const joins = last !== undefined && (edit.start < end || (inserts(edit) && edit.start === end && last.every(inserts)));
    if (joins) last.push(edit);
    else found.push([edit]);
    end = joins ? Math.max(end, edit.end) : edit.end;
  }
  if (holdsNeighbours === undefined) return dropRepeated(found);
  const joined: Edit[][] = [];
  for (const group of found) {
    const last = joined.at(-1) ?? [];
    const place = group[0]?.start ?? 0;
    const holds = (stretch: Edit, insertion: Edit): boolean =>
      stretch.side !== insertion.side &&
      inserts(insertion) &&
      insertion.start === place &&
      (stretch.start === place || stretch.end === place) &&
      holdsNeighbours(base.slice(stretch.start, stretch.end));
    if (endOf(last) === place && last.some((left) => group.some((right) => holds(left, right) || holds(right, left)))) append(last, group);
    else joined.push([...group]);
  }
  return dropRepeated(joined);
}

const inserts = ({ start, end }: Edit): boolean => start === end;

/** An insertion that the other side has made as well, together with a change of what stands beside it, is made once. */
function dropRepeated(found: readonly Edit[][]): Edit[][] {
  const used = new Set<Edit>();
  const repeats = (edit: Edit, beside: readonly Edit[] | undefined, holds: typeof startsWith): boolean => {
    const [other] = beside ?? [];
    if (other === undefined || beside?.length !== 1 || other.side === edit.side || used.has(other)) return false;
    if ((holds === startsWith ? other.start : other.end) !== edit.start || !holds(other.items, edit.items)) return false;
    used.add(other);
    return true;
  };
  return found.filter((group, at) => {
    const [edit] = group;
    if (edit === undefined || group.length !== 1 || !inserts(edit)) return true;
    return !repeats(edit, found[at + 1], startsWith) && !repeats(edit, found[at - 1], endsWith);
  });
}

const endOf = (group: readonly Edit[]): number => group.reduce((end, edit) => Math.max(end, edit.end), 0);

const startsWith = (items: readonly Item[], start: readonly Item[]): boolean =>
  items.length >= start.length && start.every((item, at) => items[at] === item);
const endsWith = (items: readonly Item[], end: readonly Item[]): boolean =>
  items.length >= end.length && end.every((item, at) => items[items.length - end.length + at] === item);
const sameItems = (a: readonly Item[], b: readonly Item[]): boolean => a.length === b.length && startsWith(a, b);

/** What becomes of the stretch of one group. */
function itemsOf(
  group: readonly Edit[],
  { input, start, end }: { input: ThreeWay; start: number; end: number },
): { items: readonly Item[] } | { overlap: string } {
  const [first, second] = group;
  if (start === end && first !== undefined && second !== undefined) return { items: insertBoth(first.items, second.items) };
  if (group.every(({ side }) => side === first?.side)) return { items: edited(first?.side) };
  if (group.every(({ items }) => items.length === 0)) return { items: [] };
  const [parent, child] = [edited("parent"), edited("child")];
  if (sameItems(parent, child)) return { items: parent };
  if (!isPlain(parent) || !isPlain(child)) return overlap("one side moved something to where the other made a change");
  const resolved = input.resolve({ start, base: input.base.slice(start, end), parent, child });
  return "overlap" in resolved ? resolved : { items: resolved.tokens };

  function edited(side: Edit["side"] | undefined): Item[] {
    const items: Item[] = [];
    let at = start;
    for (const edit of group) {
      if (edit.side !== side) continue;
      append(items, input.base.slice(at, edit.start));
      append(items, edit.items);
      at = edit.end;
    }
    append(items, input.base.slice(at, end));
    return items;
  }
}

const isPlain = (items: readonly Item[]): items is readonly string[] => items.every((item) => typeof item === "string");

/** Both stay, in an order that does not depend on who is the parent; where one holds the other at its start or end, that was made twice. */
function insertBoth(a: readonly Item[], b: readonly Item[]): readonly Item[] {
  if (startsWith(a, b) || endsWith(a, b)) return a;
  if (startsWith(b, a) || endsWith(b, a)) return b;
  return a.join("\0") < b.join("\0") ? [...a, ...b] : [...b, ...a];
}
