import type { Value } from "../../change/value.ts";
import { readInstant } from "./instant.ts";
import { type ColumnEdits, type Merged, overlap } from "./merged.ts";
import { compareScaled, readScaled, type Scaled } from "./scaled.ts";

/**
 * The greater (or the lesser) of both sides' values; any value wins over NULL. Needs no base.
 *
 * Numbers are compared as numbers, also those that are kept as text; ISO dates and timestamps by the time they mean; blobs by their
 * bytes; everything else by code units. Two spellings of one number or time are told apart by code units as well.
 */
export function mergeExtreme(kind: "max" | "min", { parent, child }: ColumnEdits): Merged {
  if (parent === null || child === null) return { value: parent ?? child };
  const order = compare(parent, child);
  if (order === undefined) return overlap(`the ${kind} of a text, a number and a blob is not defined`);
  return { value: (kind === "max" ? order > 0 : order < 0) ? parent : child };
}

type Present = NonNullable<Value>;

/** Never 0 for different values, so that both sides come to the same one; undefined for different kinds of storage. */
function compare(a: Present, b: Present): number | undefined {
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  if (typeof a === "string" || typeof b === "string") return undefined;
  if ("b" in a || "b" in b) return "b" in a && "b" in b ? byCodeUnits(a.b, b.b) : undefined;
  const [left, right] = [digits(a), digits(b)];
  return compareNumbers(left, right) || byCodeUnits(left, right) || ("i" in a ? 1 : -1);
}

const digits = (value: { readonly i: string } | { readonly r: string }): string => ("i" in value ? value.i : value.r);

function compareTexts(a: string, b: string): number {
  return compareNumbers(a, b) || compareInstants(a, b) || byCodeUnits(a, b);
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** 0 where one of them is no number, or both are the same. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [rank(a), rank(b)];
  if (left === undefined || right === undefined) return 0;
  if (typeof left === "number" || typeof right === "number") return place(left) - place(right);
  return compareScaled(left, right);
}

/** As Postgres sorts them: NaN is the greatest. */
const SPECIAL: { readonly [text: string]: number } = { "-Infinity": -1, Infinity: 1, NaN: 2 };

const rank = (text: string): Scaled | number | undefined => SPECIAL[text] ?? readScaled(text);
const place = (ranked: Scaled | number): number => (typeof ranked === "number" ? ranked : 0);

function compareInstants(a: string, b: string): number {
  const [left, right] = [readInstant(a), readInstant(b)];
  if (left === undefined || right === undefined) return 0;
  if (left.seconds !== right.seconds) return left.seconds < right.seconds ? -1 : 1;
  return byCodeUnits(left.fraction, right.fraction);
}
