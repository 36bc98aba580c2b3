import type { Value } from "../../change/value.ts";
import { readArrayLiteral, writeArrayLiteral } from "./array-literal.ts";
import { layoutOf, readJson, writeJson } from "./json-text.ts";
import { canonical, isArray, type Json } from "./json-value.ts";
import { type ColumnEdits, type Merged, overlap } from "./merged.ts";

/** Each element under what tells it from others; in the order of their first occurrence. */
type Elements<T> = ReadonlyMap<string, T>;

/**
 * Merges two edited sets: what either side added is in, what either side removed is out. A set is a JSON array, or a Postgres array of
 * one dimension; its order is the parent's, with the child's new elements behind, each once. Where the base is not known, nothing counts as removed.
 */
export function mergeSet({ base, parent, child }: ColumnEdits): Merged {
  if (parent === null || child === null) return overlap("one side set to NULL what the other changed");
  // a column that was NULL was an empty set
  const before = base ?? null;
  const json = readThree(before, parent, child, readJsonSet);
  if (json !== undefined) return { value: writeJson(merge(json), layoutOf(String(parent))) };
  const literal = readThree(before, parent, child, readLiteralSet);
  if (literal !== undefined) return { value: writeArrayLiteral(merge(literal)) };
  return overlap("a set is a JSON array or a Postgres array of one dimension");
}

interface ThreeSets<T> {
  readonly base: Elements<T>;
  readonly parent: Elements<T>;
  readonly child: Elements<T>;
}

function readThree<T>(base: Value, parent: Value, child: Value, read: (value: Value) => Elements<T> | undefined): ThreeSets<T> | undefined {
  const [before, ours, theirs] = [base === null ? new Map<string, T>() : read(base), read(parent), read(child)];
  return before && ours && theirs && { base: before, parent: ours, child: theirs };
}

function merge<T>({ base, parent, child }: ThreeSets<T>): T[] {
  const kept = [...parent].filter(([key]) => child.has(key) || !base.has(key));
  const added = [...child].filter(([key]) => !parent.has(key) && !base.has(key));
  return [...kept, ...added].map(([, element]) => element);
}

function readJsonSet(value: Value): Elements<Json> | undefined {
  if (typeof value !== "string") return undefined;
  const read = readJson(value);
  return "json" in read && isArray(read.json) ? elements(read.json, canonical) : undefined;
}

function readLiteralSet(value: Value): Elements<string | null> | undefined {
  const read = typeof value === "string" ? readArrayLiteral(value) : undefined;
  return read && elements(read, (element) => (element === null ? "NULL" : `=${element}`));
}

function elements<T>(list: readonly T[], keyOf: (element: T) => string): Elements<T> {
  const found = new Map<string, T>();
  for (const element of list) if (!found.has(keyOf(element))) found.set(keyOf(element), element);
  return found;
}
