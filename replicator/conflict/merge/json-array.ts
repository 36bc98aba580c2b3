import { create } from "jsondiffpatch";
import { hasExcess } from "./conserve.ts";
import { type ArrayEdits, type JsonEdits, JsonOverlap } from "./json-edits.ts";
import { canonical, isArray, isObject, type Json, type JsonArray, sameJson } from "./json-value.ts";
import { overlap } from "./merged.ts";
import { type Alignment, countTokens, type Joined, type Tokens } from "./sequence.ts";
import { mergeSequences, type Region } from "./three-way.ts";

type MergeTrees = (edits: JsonEdits) => Json | undefined;

/** The comparison keeps a table of so many cells. */
const MAX_CELLS = 4_000_000;

/**
 * Merges two edited arrays by what each side put in, took out and moved.
 *
 * Where all elements are objects with an `id` of their own, an element is the same one wherever it stands, and its two versions are
 * merged. Otherwise elements are told apart by what they hold, and one that both sides changed in place is merged with its counterpart.
 */
export function mergeArray(edits: ArrayEdits, mergeTrees: MergeTrees): JsonArray {
  return [edits.base, edits.parent, edits.child].every(haveIds) ? mergeById(edits, mergeTrees) : mergeByContent(edits, mergeTrees);
}

const idOf = (element: Json): string | undefined => {
  const id = isObject(element) ? element.get("id") : undefined;
  return id === undefined || id === null || isObject(id) || isArray(id) ? undefined : canonical(id);
};

function haveIds(array: JsonArray): boolean {
  const ids = array.map(idOf);
  return !ids.includes(undefined) && new Set(ids).size === ids.length;
}

interface Place {
  readonly element: Json;
  readonly at: number;
}

const byId = (array: JsonArray): Map<string, Place> => new Map(array.map((element, at) => [idOf(element) ?? "", { element, at }]));

/** Which elements there are and what they hold follows from the ids; the order is merged apart from it. */
function mergeById({ base, parent, child, path }: ArrayEdits, mergeTrees: MergeTrees): JsonArray {
  const [before, ours, theirs] = [byId(base), byId(parent), byId(child)];
  const elements = new Map<string, Json>();
  for (const id of new Set([...ours.keys(), ...theirs.keys(), ...before.keys()])) {
    const [was, our, their] = [before.get(id), ours.get(id), theirs.get(id)];
    const place = `${path}[${(our ?? their ?? was)?.at}]`;
    const merged = mergeTrees({ base: was?.element, parent: our?.element, child: their?.element, path: place });
    if (merged !== undefined) elements.set(id, merged);
  }
  // an element that both sides put in stands where the parent put it
  const onlyTheirs = [...theirs.keys()].filter((id) => before.has(id) || !ours.has(id));
  const order = mergeSequences({
    base: [...before.keys()],
    parent: [...ours.keys()],
    child: onlyTheirs,
    align: (from, to) => alignElements(from, to, path),
    resolve: takeBoth,
    likeness: () => 1,
  });
  const ids = tokensOf(order, path);
  if (ids.length !== elements.size || new Set(ids).size !== ids.length)
    throw new JsonOverlap(`both sides' orders cannot be brought together, at ${path}`);
  return elementsOf(ids, elements, path);
}

/** Each id of a stretch that both sides changed: out where either side took it out, in where either put it in. */
function takeBoth({ base, parent, child }: Region): Joined {
  const [before, ours, theirs] = [new Set(base), new Set(parent), new Set(child)];
  const tokens = parent.filter((id) => !before.has(id) || theirs.has(id));
  return { tokens: [...tokens, ...child.filter((id) => !before.has(id) && !ours.has(id))] };
}

function mergeByContent({ base, parent, child, path }: ArrayEdits, mergeTrees: MergeTrees): JsonArray {
  const elements = new Map<string, Json>();
  // of two spellings the parent's stays
  for (const array of [child, base, parent]) for (const element of array) elements.set(canonical(element), element);
  const [before, ours, theirs] = [base.map(canonical), parent.map(canonical), child.map(canonical)];
  const merged = mergeSequences({
    base: before,
    parent: ours,
    child: theirs,
    align: (from, to) => alignElements(from, to, path),
    resolve: (region) => mergeInPlace(region, { elements, mergeTrees, path }),
    likeness: (was, now) => likeness(elements.get(was), elements.get(now)),
  });
  const tokens = tokensOf(merged, path);
  if (hasExcess({ base: before, parent: ours, child: theirs, merged: tokens })) {
    throw new JsonOverlap(`both sides moved the same elements, at ${path}`);
  }
  return elementsOf(tokens, elements, path);
}

/** Elements that both sides changed where they stand, as many as there were. */
function mergeInPlace(
  { start, base, parent, child }: Region,
  { elements, mergeTrees, path }: { elements: Map<string, Json>; mergeTrees: MergeTrees; path: string },
): Joined {
  if (parent.length !== base.length || child.length !== base.length)
    return overlap("both sides changed the same elements in different ways");
  const element = (token: string | undefined): Json | undefined => elements.get(token ?? "");
  const tokens = base.map((token, at) => {
    const edits = { base: element(token), parent: element(parent[at]), child: element(child[at]), path: `${path}[${start + at}]` };
    const merged = mergeTrees(edits) ?? null;
    elements.set(canonical(merged), merged);
    return canonical(merged);
  });
  return { tokens };
}

/** Without ids, an object that was moved and one that was edited are the same one where half of its members are. */
function likeness(was: Json | undefined, now: Json | undefined): number {
  if (!isObject(was) || !isObject(now)) return 0;
  const same = [...was].filter(([key, value]) => sameJson(value, now.get(key))).length;
  const share = same / Math.max(was.size, now.size, 1);
  return share < 0.5 ? 0 : share;
}

function tokensOf(joined: Joined, path: string): Tokens {
  if ("overlap" in joined) throw new JsonOverlap(`${joined.overlap}, at ${path}`);
  return joined.tokens;
}

function elementsOf(tokens: Tokens, elements: ReadonlyMap<string, Json>, path: string): Json[] {
  return tokens.map((token) => {
    const element = elements.get(token);
    if (element === undefined) throw new JsonOverlap(`both sides' orders cannot be brought together, at ${path}`);
    return element;
  });
}

const differ = create({ arrays: { detectMove: true } });

/** The edit script of one side: `_3: ["", 5, 3]` is "moved from 3 to 5", `_3: [element, 0, 0]` "taken out", `5: [element]` "put in". */
function scriptOf(base: Tokens, side: Tokens, path: string): ReadonlyMap<string, readonly unknown[]> {
  if (base.length * side.length > MAX_CELLS) throw new JsonOverlap(`too many elements to compare, at ${path}`);
  return new Map(Object.entries((differ.diff(base, side) as { [key: string]: readonly unknown[] } | undefined) ?? {}));
}

function alignElements(base: Tokens, side: Tokens, path: string): Alignment {
  let [head, tail] = [0, 0];
  const shorter = Math.min(base.length, side.length);
  while (head < shorter && base[head] === side[head]) head++;
  while (tail < shorter - head && base[base.length - 1 - tail] === side[side.length - 1 - tail]) tail++;
  const [middle, changed] = [base.slice(head, base.length - tail), side.slice(head, side.length - tail)];
  const script = scriptOf(middle, changed, path);
  const from = Int32Array.from(side, (_, at) => (at < head ? at : at < side.length - tail ? -1 : at + base.length - side.length));
  const [inBase, inSide] = [countTokens(base), countTokens(side)];
  const moved = new Set<number>();
  const arrived = new Set<number>();
  for (const [at, token] of middle.entries()) {
    const step = script.get(`_${at}`);
    if (step?.[2] !== 3) continue;
    const to = Number(step[1]);
    arrived.add(to);
    // of several alike, which one it was cannot be told: one went, one came
    if (inBase.get(token) !== 1 || inSide.get(token) !== 1) continue;
    from[head + to] = head + at;
    moved.add(head + at);
  }
  let next = 0;
  for (const at of middle.keys()) {
    if (script.has(`_${at}`)) continue;
    while (script.has(String(next)) || arrived.has(next)) next++;
    from[head + next++] = head + at;
  }
  return { from, moved };
}
