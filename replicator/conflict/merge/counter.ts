import type { Value } from "../../change/value.ts";
import { isInt64 } from "../../change/values/storage.ts";
import { type ColumnEdits, type Merged, overlap } from "./merged.ts";
import { atScale, printScaled, readScaled, type Scaled } from "./scaled.ts";

/**
 * Adds what both sides added: the parent's number and the child's difference to the base, in exact decimals. The result has as many
 * digits after the point as the input that has most.
 */
export function mergeCounter({ base, parent, child }: ColumnEdits): Merged {
  if (base === undefined) return overlap("the counter's value before both edits is not known");
  const read = [base, parent, child].map(readNumber);
  const [before, ours, theirs] = read;
  if (before === undefined || ours === undefined || theirs === undefined) return overlap("a counter needs a finite number on all sides");
  const scale = Math.max(before.scale, ours.scale, theirs.scale);
  const units = atScale(ours, scale) + atScale(theirs, scale) - atScale(before, scale);
  return inFormOf([base, parent, child], { units, scale });
}

function readNumber(value: Value): Scaled | undefined {
  if (value === null) return undefined;
  if (typeof value === "string") return readScaled(value);
  if ("i" in value) return readScaled(value.i);
  return "r" in value ? readScaled(value.r) : undefined;
}

function inFormOf(values: readonly Value[], sum: Scaled): Merged {
  const texts = values.filter((value) => typeof value === "string").length;
  if (texts === values.length) return { value: printScaled(sum) };
  if (texts > 0) return overlap("the counter is a text on one side and a number on the other");
  const hasIntegers = values.some((value) => value !== null && typeof value === "object" && "i" in value);
  const unit = 10n ** BigInt(sum.scale);
  // a column that keeps whole numbers as INTEGER would store a whole REAL as one, too
  if (hasIntegers && sum.units % unit === 0n) {
    const whole = sum.units / unit;
    return isInt64(whole) ? { value: { i: String(whole) } } : overlap("the counter's sum is beyond 64 bits");
  }
  const real = Number(printScaled(sum));
  return Number.isFinite(real) ? { value: { r: String(real) } } : overlap("the counter's sum is beyond a REAL");
}
