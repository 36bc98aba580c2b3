import type { Change } from "./change.ts";
import { parseRow, type Row, type RowText, rowText, sameValue } from "./value.ts";

/** What a parked change and a later one of the same row come to. */
export interface NetOfParked {
  readonly net: Change;
  /**
   * The row that the later change was made on no longer had (all of) what the parked one wrote: somebody else's change came between. That
   * part of the parked change is not in the net, and would be lost if nobody wrote it down.
   */
  readonly superseded: boolean;
}

/**
 * The net of a parked change of a child and the next that it made of the same row, in its terms. Unlike in a fold of one log, the two need not
 * be a chain: the parent did not take the first, may have changed the row since, and the child follows its parent. What a chain
 * proves is the old values of the later change: where they are what the parked one left, the parked one's base counts.
 */
export function netOfParked(parked: Change, later: Change): NetOfParked {
  const before = rowOf(parked.old);
  const left = rowOf(parked.new);
  const seen = rowOf(later.old);
  const alone = (superseded: boolean): NetOfParked => ({ net: later, superseded });
  const lost = columnsOf(parked).filter((column) => Object.hasOwn(seen, column) && !sameValue(seen[column], left[column]));
  if (parked.op === "D") {
    // a row that was there again came from somebody else
    return later.op === "I" ? { net: made(later, "U", before, rowOf(later.new)), superseded: false } : alone(true);
  }
  if (later.op === "I") return alone(true);
  if (parked.op === "I") {
    if (lost.length > 0 || later.op === "D") return alone(lost.length > 0);
    return { net: made(later, "I", null, { ...left, ...rowOf(later.new) }), superseded: false };
  }
  const kept = columnsOf(parked).filter((column) => !lost.includes(column));
  const base = { ...before, ...seen, ...only(before, kept) };
  const now = { ...left, ...seen, ...only(left, kept), ...rowOf(later.new) };
  return { net: later.op === "D" ? made(later, "D", base, null) : made(later, "U", base, now), superseded: lost.length > 0 };
}

/** The columns that a change wrote; whole images tell of others, too. */
function columnsOf({ op, old, new: now }: Change): string[] {
  const before = rowOf(old);
  const after = rowOf(now);
  if (op === "D") return [];
  return Object.keys(after).filter((column) => op === "I" || !sameValue(before[column], after[column]));
}

const rowOf = (text: RowText | null): Row => (text === null ? {} : parseRow(text));

const only = (row: Row, columns: readonly string[]): Row =>
  Object.fromEntries(columns.filter((column) => Object.hasOwn(row, column)).map((column) => [column, row[column] ?? null]));

/** Both images of an update tell their columns in the same order. */
function made(later: Change, op: "I" | "U" | "D", old: Row | null, now: Row | null): Change {
  const ordered = old !== null && now !== null ? only(now, Object.keys({ ...old, ...now })) : now;
  return { ...later, op, old: old === null ? null : rowText(old), new: ordered === null ? null : rowText(ordered) };
}
