import type { KeyRange } from "./digest.ts";

/** In the order `hash`: the rows whose key digest begins with these digits. */
export function bucketRange(digits: string): KeyRange {
  if (digits === "") return { from: null, to: null };
  const next = (Number.parseInt(digits, 16) + 1).toString(16).padStart(digits.length, "0");
  return { from: digits, to: next.length > digits.length ? null : next };
}

/** Whether a key digest lies in one of these ranges, which ascend and do not overlap. */
export function rangeTest(ranges: readonly KeyRange[]): (digest: string) => boolean {
  return (digest) => {
    let low = 0;
    let high = ranges.length;
    // the last range that begins at or before it
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ranges[middle]?.from ?? "") <= digest) low = middle + 1;
      else high = middle;
    }
    const range = ranges[low - 1];
    return range !== undefined && (range.to === null || digest < range.to);
  };
}
