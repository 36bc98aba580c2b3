import type { Likeness } from "./edits.ts";
import { overlap } from "./merged.ts";
import { append, type Item, type Joined, type Piece, type Tokens } from "./sequence.ts";

interface Moves {
  readonly base: Tokens;
  /** Indices of the base that either side moved. */
  readonly moved: ReadonlySet<number>;
  readonly likeness: Likeness;
}

const UNCLEAR = "one side moved what the other changed, and where the change belongs cannot be told";

/**
 * Takes what was moved, with the other side's edits in it, out of its old place and puts it where its index stands.
 *
 * It is an overlap where that cannot be told without guessing: an edit that reaches across the border of what was moved, one that put
 * another thing in its place, or both sides moving one thing to two places.
 */
export function placeMoved(pieces: readonly Piece[], moves: Moves): Joined {
  if (moves.moved.size === 0) return { tokens: pieces.flatMap(({ items }) => items as Tokens) };
  const lifted = lift(pieces, moves);
  return lifted === undefined ? overlap(UNCLEAR) : put(lifted);
}

interface Lifted {
  /** What stays, in order. */
  readonly staying: readonly Item[];
  /** Moved index to what travels with it. */
  readonly load: ReadonlyMap<number, readonly Item[]>;
}

function lift(pieces: readonly Piece[], { base, moved, likeness }: Moves): Lifted | undefined {
  const followed = pairsInOrder(pieces);
  const staying: Item[] = [];
  const load = new Map<number, Item[]>();
  for (const { start, end, items, kept } of pieces) {
    if (kept) {
      for (let at = start; at < end; at++) {
        if (moved.has(at)) load.set(at, [base[at] ?? ""]);
        else staying.push(base[at] ?? "");
      }
    } else if (start === end) {
      // an insertion in the midst of what travels together travels along
      const carrier = followed.has(start - 1) ? load.get(start - 1) : undefined;
      append(carrier ?? staying, items);
    } else {
      const indices = Array.from({ length: end - start }, (_, by) => start + by);
      const travelling = indices.filter((at) => moved.has(at));
      for (const at of travelling) load.set(at, []);
      if (travelling.length === 0 || items.length === 0) append(staying, items);
      else if (indices.length === 1 && items.length === 1 && likeness(base[start] ?? "", String(items[0])) > 0) load.set(start, [...items]);
      else return undefined;
    }
  }
  return { staying, load };
}

/** Moved indices whose next one stands right behind them in the new place, too. */
function pairsInOrder(pieces: readonly Piece[]): Set<number> {
  const followed = new Set<number>();
  for (const { items } of pieces) {
    for (const [at, item] of items.entries()) if (typeof item === "number" && items[at + 1] === item + 1) followed.add(item);
  }
  return followed;
}

function put({ staying, load }: Lifted): Joined {
  const tokens: string[] = [];
  const placed = new Set<number>();
  /** False where something would be placed twice, or inside of itself. */
  const place = (items: readonly Item[]): boolean =>
    items.every((item) => {
      if (typeof item === "string") return tokens.push(item) > 0;
      if (placed.has(item)) return false;
      placed.add(item);
      return place(load.get(item) ?? []);
    });
  if (!place(staying)) return overlap("both sides moved the same thing to different places");
  return [...load].every(([at, items]) => placed.has(at) || items.length === 0) ? { tokens } : overlap(UNCLEAR);
}
