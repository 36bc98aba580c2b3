import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, Op } from "../../replicator/change/change.ts";
import { type FoldOptions, foldGroup, partsOf } from "../../replicator/change/fold.ts";
import { parseRow, type Row, rowText, sameValue } from "../../replicator/change/value.ts";

/** Rows by `table key`: what a reader of the changes has. */
type State = Map<string, Row>;

const at = (change: Pick<Change, "table" | "key">): string => `${change.table} ${change.key}`;
const keyText = (id: number): string => `{"id": "${id}"}`;
const sorted = (state: State): unknown =>
  [...state].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, row]) => [key, Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))]);

/** A reader that obeys. */
function apply(state: State, changes: readonly Change[]): State {
  for (const change of changes) {
    if (change.op === "T") for (const key of [...state.keys()].filter((key) => key.startsWith(`${change.table} `))) state.delete(key);
    else if (change.new === null) state.delete(at(change));
    else if (change.op === "U") state.set(at(change), { ...state.get(at(change)), ...parseRow(change.new) });
    else state.set(at(change), parseRow(change.new));
  }
  return state;
}

interface Edit {
  readonly table: number;
  readonly id: number;
  readonly kind: "write" | "remove" | "truncate" | "refresh" | "forget";
  readonly a?: string;
  readonly b?: string;
}

/** The log that a database would have written for these edits; an update that changes nothing is not logged. */
function history(start: State, edits: readonly Edit[], whole: ReadonlySet<number>): Change[] {
  const state = new Map(start);
  const log: Change[] = [];
  for (const [changedAt, { table, id, kind, a, b }] of edits.entries()) {
    const key = keyText(id);
    const now = state.get(at({ table, key }));
    const next: Row = { id: String(id), a: a ?? now?.a ?? "0", b: b ?? now?.b ?? "0" };
    const change = ((): Change | null => {
      const by = { table, key, changedAt };
      if (kind === "truncate") return { ...by, op: "T", key: "", old: null, new: null };
      if (kind === "refresh") return { ...by, op: "R", old: null, new: rowText(next) };
      if (kind === "forget") return { ...by, op: "R", old: null, new: null };
      if (kind === "remove") return now ? { ...by, op: "D", old: rowText(now), new: null } : null;
      if (!now) return { ...by, op: "I", old: null, new: rowText(next) };
      const columns = Object.keys(next).filter((column) => whole.has(table) || !sameValue(now[column], next[column]));
      if (!Object.keys(next).some((column) => !sameValue(now[column], next[column]))) return null;
      const pick = (row: Row): string => rowText(Object.fromEntries(columns.map((column) => [column, row[column] ?? null])));
      return { ...by, op: "U", old: pick(now), new: pick(next) };
    })();
    if (!change) continue;
    log.push(change);
    apply(state, [change]);
  }
  return log;
}

const value = fc.option(fc.constantFrom("0", "1", "2"), { nil: undefined });
const edit: fc.Arbitrary<Edit> = fc.record({
  table: fc.constantFrom(0, 1),
  id: fc.constantFrom(1, 2, 3),
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant("write" as const) },
    { weight: 3, arbitrary: fc.constant("remove" as const) },
    { weight: 1, arbitrary: fc.constantFrom("truncate" as const, "refresh" as const, "forget" as const) },
  ),
  a: value as fc.Arbitrary<string>,
  b: value as fc.Arbitrary<string>,
});
const WHOLE = new Set([1]);
const OPTIONS: readonly FoldOptions[] = [{}, { oneWay: true, wholeImages: WHOLE }];

/** Cuts the log into groups after each of `cuts`. */
function groups(log: readonly Change[], cuts: readonly number[]): Change[][] {
  const bounds = [0, ...[...new Set(cuts.map((cut) => cut % (log.length + 1)))].sort((a, b) => a - b), log.length];
  return bounds.slice(1).map((end, i) => log.slice(bounds[i], end));
}

const world = fc.record({
  before: fc.array(edit, { maxLength: 6 }),
  edits: fc.array(edit, { maxLength: 40, size: "max" }),
  cuts: fc.array(fc.nat(40), { maxLength: 6 }),
});

test("folded groups leave the same rows as the changes one by one, wherever the log is cut", () => {
  fc.assert(
    fc.property(world, fc.constantFrom(...OPTIONS), ({ before, edits, cuts }, options) => {
      const start = apply(new Map(), history(new Map(), before, WHOLE));
      const log = history(start, edits, WHOLE);
      const truth = apply(new Map(start), log);
      const copy = new Map(start);
      for (const group of groups(log, cuts)) apply(copy, foldGroup(group, options));
      expect(sorted(copy)).toEqual(sorted(truth));
    }),
    { numRuns: 3000 },
  );
});

test("a folded change's old is what the row held before the group, its new what it holds after, and it comes once per key", () => {
  fc.assert(
    fc.property(world, fc.constantFrom(...OPTIONS), ({ before, edits }, options) => {
      const start = apply(new Map(), history(new Map(), before, WHOLE));
      const log = history(
        start,
        edits.filter(({ kind }) => kind === "write" || kind === "remove"),
        WHOLE,
      );
      const end = apply(new Map(start), log);
      const folded = foldGroup(log, options);
      expect(new Set(folded.map(at)).size).toBe(folded.length);
      for (const change of folded) {
        const was = start.get(at(change));
        const is = end.get(at(change));
        if (change.op === "D" && was === undefined)
          expect(options.oneWay ?? false, "only a two-way fold sends what came and went").toBe(false);
        else if (change.old === null) expect(was).toBeUndefined();
        else expect(was).toMatchObject(parseRow(change.old));
        if (change.new === null) expect(is).toBeUndefined();
        else expect(is).toMatchObject(parseRow(change.new));
        if (change.op === "I") expect(is).toEqual(parseRow(change.new ?? "{}"));
        if (change.op === "U")
          expect(Object.keys(parseRow(change.new ?? "")).sort()).toEqual(Object.keys(parseRow(change.old ?? "")).sort());
        if (change.op === "U" && WHOLE.has(change.table)) expect(parseRow(change.new ?? "")).toEqual(is);
      }
    }),
    { numRuns: 2000 },
  );
});

test("between two writers, what was touched stays touched: every key and every column that a change named is in the fold", () => {
  fc.assert(
    fc.property(world, ({ before, edits }) => {
      const start = apply(new Map(), history(new Map(), before, WHOLE));
      const log = history(
        start,
        edits.filter(({ kind }) => kind === "write" || kind === "remove"),
        WHOLE,
      );
      const folded = new Map(foldGroup(log).map((change) => [at(change), change]));
      for (const change of log) {
        const net = folded.get(at(change));
        expect(net).toBeDefined();
        if (net?.op === "U" && change.op === "U")
          expect(Object.keys(parseRow(net.new ?? ""))).toEqual(expect.arrayContaining(Object.keys(parseRow(change.new ?? ""))));
      }
    }),
    { numRuns: 1000 },
  );
});

test("one way, what came back is left out: no update without a difference, no row that came and went", () => {
  const one = { oneWay: true };
  const u = (old: Row, now: Row): Change => ({ table: 0, op: "U", key: keyText(1), old: rowText(old), new: rowText(now), changedAt: 1 });
  const i = (row: Row): Change => ({ table: 0, op: "I", key: keyText(1), old: null, new: rowText(row), changedAt: 1 });
  const d = (row: Row): Change => ({ table: 0, op: "D", key: keyText(1), old: rowText(row), new: null, changedAt: 1 });
  expect(foldGroup([u({ a: "1" }, { a: "2" }), u({ a: "2" }, { a: "1" })], one)).toEqual([]);
  expect(foldGroup([u({ a: "1", b: "1" }, { a: "2", b: "2" }), u({ a: "2" }, { a: "1" })], one)).toEqual([u({ b: "1" }, { b: "2" })]);
  expect(foldGroup([i({ a: "1" }), d({ a: "1" })], one)).toEqual([]);
  expect(foldGroup([d({ a: "1" }), i({ a: "1" })], one)).toEqual([]);
  expect(foldGroup([d({ a: "1", b: "1" }), i({ a: "1", b: "2" })], one)).toEqual([u({ b: "1" }, { b: "2" })]);
  expect(foldGroup([d({ a: "1", b: "1" }), i({ a: "1", b: "2" })], { ...one, wholeImages: new Set([0]) })).toEqual([
    u({ a: "1", b: "1" }, { a: "1", b: "2" }),
  ]);
});

test("every triple of operations, possible or not, folds to a change that leaves what the last one says", () => {
  const ops: readonly Op[] = ["I", "U", "D", "R", "T"];
  const rows = ["0", "1"].flatMap((a) => ["0", "1"].map((b): Row => ({ a, b })));
  const make = (op: Op, row: Row, before: Row): Change[] => {
    const by = { table: 0, key: keyText(1), changedAt: 1, op };
    if (op === "I") return [{ ...by, old: null, new: rowText(row) }];
    if (op === "D") return [{ ...by, old: rowText(before), new: null }];
    if (op === "T") return [{ ...by, key: "", old: null, new: null }];
    if (op === "R") return [row, null].map((image) => ({ ...by, old: null, new: image && rowText(image) }));
    return ["a", "b"].map((column) => ({
      ...by,
      old: rowText({ [column]: before[column] ?? null }),
      new: rowText({ [column]: row[column] ?? null }),
    }));
  };
  let triples = 0;
  for (const first of ops.flatMap((op) => make(op, rows[0]!, rows[1]!))) {
    for (const second of ops.flatMap((op) => rows.flatMap((row) => make(op, row, rows[0]!)))) {
      for (const third of ops.flatMap((op) => rows.flatMap((row) => make(op, row, rows[2]!)))) {
        const log = [first, second, third];
        for (const start of [[], [[`0 ${keyText(1)}`, rows[3]!] as const]]) {
          const truth = apply(new Map(start), log);
          const folded = apply(new Map(start), foldGroup(log));
          // an update of a row that no image is known of leaves columns open that only the reader has
          const open = log.some((change, n) => change.op === "U" && (n === 0 || log[n - 1]?.new === null));
          if (open) expect(folded.size).toBe(truth.size);
          else expect(sorted(folded), JSON.stringify(log)).toEqual(sorted(truth));
        }
        triples++;
      }
    }
  }
  expect(triples).toBeGreaterThan(1000);
});

test("an update that follows a delete, as in a log with a hole, keeps to the columns that it names", () => {
  const d: Change = { table: 0, op: "D", key: keyText(1), old: rowText({ a: "1", b: "1" }), new: null, changedAt: 1 };
  const u: Change = { table: 0, op: "U", key: keyText(1), old: rowText({ a: "5" }), new: rowText({ a: "6" }), changedAt: 2 };
  expect(foldGroup([d, u])).toEqual([{ ...u, old: rowText({ a: "1" }) }]);
});

test("a truncate drops what was before it in its table, stays where it was, and nothing moves across it", () => {
  const i = (table: number, id: number, a = "1"): Change => ({
    table,
    op: "I",
    key: keyText(id),
    old: null,
    new: rowText({ a }),
    changedAt: id,
  });
  const t: Change = { table: 0, op: "T", key: "", old: null, new: null, changedAt: 9 };
  const u: Change = { table: 1, op: "U", key: keyText(2), old: rowText({ a: "1" }), new: rowText({ a: "2" }), changedAt: 10 };
  const folded = foldGroup([i(0, 1), i(1, 2), t, u, i(0, 1, "3")]);
  expect(folded).toEqual([i(1, 2), t, u, i(0, 1, "3")]);
  expect(partsOf(folded)).toEqual([
    [i(1, 2), t],
    [u, i(0, 1, "3")],
  ]);
  expect(partsOf(foldGroup([t]))).toEqual([[t]]);
  expect(partsOf([])).toEqual([]);
});

test("rows of keys that come once are passed on as the very same text, unread", () => {
  const unreadable: Change = { table: 0, op: "I", key: keyText(1), old: null, new: '{"a" :  "1"}', changedAt: 1 };
  const other: Change = { ...unreadable, key: keyText(2) };
  const out = foldGroup([unreadable, other]);
  expect(out[0]).toBe(unreadable);
  expect(out[1]).toBe(other);
});

test("columns that are called like members of an object are columns like any other", () => {
  const row = (n: string): string => `{"__proto__":"${n}","constructor":"${n}","toString":{"i":"${n}"}}`;
  const u = (a: string, b: string): Change => ({ table: 0, op: "U", key: keyText(1), old: row(a), new: row(b), changedAt: 1 });
  expect(foldGroup([u("1", "2"), u("2", "3")], { oneWay: true })).toEqual([u("1", "3")]);
  expect(foldGroup([u("1", "2"), u("2", "1")], { oneWay: true })).toEqual([]);
});
