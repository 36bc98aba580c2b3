import { mergeArray } from "./json-array.ts";
import { type JsonEdits, JsonOverlap } from "./json-edits.ts";
import { layoutOf, readJson, writeJson } from "./json-text.ts";
import { isArray, isObject, type Json, type JsonObject, sameJson } from "./json-value.ts";
import { type ColumnEdits, type Merged, overlap } from "./merged.ts";

const MAX_JSON = 1_000_000;

/**
 * Merges two edited JSON texts: objects key by key, deeply; arrays by what was put in, taken out and moved; everything else as one value.
 * The result has the parent's order of keys, the child's new ones behind them, and the parent's layout.
 */
export function mergeJson({ base, parent, child }: ColumnEdits): Merged {
  if (parent === null || child === null) return overlap("one side set to NULL what the other changed");
  if (typeof parent !== "string" || typeof child !== "string") return overlap("only texts are merged as JSON");
  // two inserts, or a column that was empty: every key is new
  const before = base ?? undefined;
  if (before !== undefined && typeof before !== "string") return overlap("only texts are merged as JSON");
  if (Math.max(before?.length ?? 0, parent.length, child.length) > MAX_JSON) return overlap("the JSON is too long to be merged");
  try {
    const trees = {
      base: before === undefined ? undefined : read("base", before),
      parent: read("parent", parent),
      child: read("child", child),
    };
    // at the top there is a value on both sides, so that there is one after the merge
    return { value: writeJson(mergeTrees({ ...trees, path: "$" }) ?? null, layoutOf(parent)) };
  } catch (error) {
    if (error instanceof JsonOverlap) return overlap(error.message);
    throw error;
  }
}

function read(side: string, text: string): Json {
  const result = readJson(text);
  if ("problem" in result) throw new JsonOverlap(`the ${side}'s JSON cannot be read: ${result.problem}`);
  return result.json;
}

/** One place of the tree; undefined: there is nothing. Throws JsonOverlap. */
function mergeTrees(edits: JsonEdits): Json | undefined {
  const { base, parent, child, path } = edits;
  // never as a whole: a number that was only written in another way keeps its digits
  if (isObject(base) && isObject(parent) && isObject(child)) return mergeObjects({ base, parent, child, path });
  if (sameJson(parent, child) || sameJson(base, child)) return parent;
  if (sameJson(base, parent)) return child;
  // two removals, one inside of the other, are one
  if (!isObject(parent) && onlyRemoves(base, child)) return parent;
  if (!isObject(child) && onlyRemoves(base, parent)) return child;
  if (parent === undefined || child === undefined) throw new JsonOverlap(`one side removed what the other changed, at ${path}`);
  if (isObject(parent) && isObject(child)) return mergeObjects({ base: new Map(), parent, child, path });
  if (isArray(parent) && isArray(child) && isArray(base)) return mergeArray({ base, parent, child, path }, mergeTrees);
  throw new JsonOverlap(`both sides changed ${path} in different ways`);
}

/** True where `now` is the object that it was without some of its members, at any depth. */
function onlyRemoves(base: Json | undefined, now: Json | undefined): boolean {
  return (
    isObject(base) && isObject(now) && [...now].every(([key, value]) => sameJson(base.get(key), value) || onlyRemoves(base.get(key), value))
  );
}

interface ObjectEdits {
  readonly base: JsonObject;
  readonly parent: JsonObject;
  readonly child: JsonObject;
  readonly path: string;
}

function mergeObjects({ base, parent, child, path }: ObjectEdits): JsonObject {
  const merged = new Map<string, Json>();
  for (const key of new Set([...parent.keys(), ...child.keys()])) {
    const value = mergeTrees({ base: base.get(key), parent: parent.get(key), child: child.get(key), path: path + step(key) });
    if (value !== undefined) merged.set(key, value);
  }
  return merged;
}

const step = (key: string): string => (/^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);
