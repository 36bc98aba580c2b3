import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, Op } from "../../replicator/change/change.ts";
import { foldGroup } from "../../replicator/change/fold.ts";
import { netOfParked } from "../../replicator/change/net-of-parked.ts";
import { parseRow, type Row, rowText } from "../../replicator/change/value.ts";

const COLUMNS = ["a", "b", "c"] as const;
type Values = { readonly [column: string]: string };

const change = (op: Op, old: Row | null, now: Row | null, changedAt: number): Change => ({
  table: 0,
  op,
  key: '{"id":"1"}',
  old: old && rowText(old),
  new: now && rowText(now),
  changedAt,
});

/** What a log says of one write: of an update the columns that changed, or with whole images all. */
function written(before: Values | null, after: Values | null, whole: boolean, at: number): Change | null {
  if (before === null) return after === null ? null : change("I", null, { id: "1", ...after }, at);
  if (after === null) return change("D", { id: "1", ...before }, null, at);
  const changed = COLUMNS.filter((column) => whole || before[column] !== after[column]);
  if (!COLUMNS.some((column) => before[column] !== after[column])) return null;
  const only = (row: Values): Row => Object.fromEntries(changed.map((column) => [column, row[column] ?? null]));
  return change("U", only(before), only(after), at);
}

const values = fc.record({ a: fc.constantFrom("1", "2", "3"), b: fc.constantFrom("1", "2", "3"), c: fc.constantFrom("1", "2", "3") });
const row = fc.option(values, { nil: null, freq: 3 });
const image = (text: string | null): Row | null => (text === null ? null : parseRow(text));

test("where nothing came between, it is the fold of the two", () => {
  fc.assert(
    fc.property(row, row, row, fc.boolean(), (first, second, third, whole) => {
      const parked = written(first, second, whole, 1);
      const later = written(second, third, whole, 2);
      fc.pre(parked !== null && later !== null);
      if (parked === null || later === null) return;
      const { net, superseded } = netOfParked(parked, later);
      const [fold] = foldGroup([parked, later]);
      expect(superseded).toBe(false);
      expect([net.op, image(net.old), image(net.new), net.changedAt]).toEqual([
        fold?.op,
        image(fold?.old ?? null),
        image(fold?.new ?? null),
        2,
      ]);
    }),
  );
});

test("what somebody else wrote in between stays the base of the later change, and the parked one is superseded where that was over it", () => {
  fc.assert(
    fc.property(values, values, values, values, fc.boolean(), (first, mine, theirs, last, whole) => {
      const parked = written(first, mine, whole, 1);
      // theirs over some columns of mine
      const between = { ...mine, a: theirs.a, b: theirs.b };
      const later = written(between, last, whole, 2);
      fc.pre(parked !== null && later !== null);
      if (parked === null || later === null) return;
      const { net, superseded } = netOfParked(parked, later);
      const [old, now, seen] = [image(net.old) ?? {}, image(net.new) ?? {}, image(later.old) ?? {}];
      const wrote = COLUMNS.filter((column) => first[column] !== mine[column]);
      const lost = wrote.filter((column) => Object.hasOwn(seen, column) && seen[column] !== mine[column]);
      expect(superseded).toBe(lost.length > 0);
      expect(Object.keys(old)).toEqual(Object.keys(now));
      for (const column of COLUMNS) {
        const kept = wrote.includes(column) && !lost.includes(column);
        if (kept) expect(old[column]).toBe(first[column]);
        else if (Object.hasOwn(seen, column)) expect(old[column]).toBe(seen[column]);
        if (Object.hasOwn(image(later.new) ?? {}, column)) expect(now[column]).toBe(last[column]);
        else if (kept) expect(now[column]).toBe(mine[column]);
      }
    }),
  );
});

test("a row that came back or went in between leaves the later change alone, and the parked one to the history", () => {
  const insert = change("I", null, { id: "1", a: "1" }, 1);
  const remove = change("D", { id: "1", a: "1" }, null, 1);
  const update = change("U", { a: "1" }, { a: "2" }, 1);
  const laterUpdate = change("U", { a: "9" }, { a: "3" }, 2);
  for (const [parked, later] of [
    [insert, laterUpdate],
    [insert, change("I", null, { id: "1", a: "4" }, 2)],
    [insert, change("D", { id: "1", a: "9" }, null, 2)],
    [remove, laterUpdate],
    [remove, change("D", { id: "1", a: "9" }, null, 2)],
    [update, change("I", null, { id: "1", a: "4" }, 2)],
  ] as const) {
    expect(netOfParked(parked, later)).toEqual({ net: later, superseded: true });
  }
});
