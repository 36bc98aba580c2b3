import { readFile, writeFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CLOCK_LIMITS, correctedTime, usableOffset } from "../../replicator/change/clock.ts";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { type Row, sameValue } from "../../replicator/change/value.ts";
import { type Clash, type Detection, PLAIN_RULE, type Policy, type Verdict } from "../../replicator/change/verdict.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";

const judge = createJudge(createModuleRunner());

const row = (a: string, b = "1"): Row => ({ id: "7", a, b });
const BASE = row("1");
const ALL = ["id", "a", "b"];

const clash = (over: Partial<Clash>): Clash => ({
  table: tableName("t"),
  key: ["id"],
  op: "U",
  base: BASE,
  child: BASE,
  wholeChild: true,
  parent: BASE,
  changed: ["a"],
  parentChangedAt: 1_000_000,
  childChangedAt: 2_000_000,
  parentNode: nodeName("hub"),
  childNode: nodeName("store-1"),
  ...PLAIN_RULE,
  ...over,
});

/** What comes of a clash, as the table in the docs says it. */
type Outcome =
  | "the parent's row"
  | "the child's row"
  | "the same row"
  | "both edits"
  | "the parent's a, the child's b"
  | "the child's a, the parent's b"
  | "a merged"
  | "a merged, the child's b"
  | "a merged, the parent's b"
  | "no row";

interface Case {
  readonly parent: string;
  readonly child: string;
  readonly detect: readonly Detection[];
  readonly clash: Partial<Clash>;
  /** Null where nobody has to decide. */
  readonly kind: string | null;
  readonly parentWins: Outcome;
  readonly childWins: Outcome;
  /** With `columns: { a: counter }, otherwise: parent_wins`, where it is not what `parent_wins` makes of it. */
  readonly merge?: Outcome;
  /** Where it is a conflict only for `merge`. */
  readonly mergeKind?: string;
}

const BOTH: readonly Detection[] = ["column", "row"];
const insert = { op: "I", base: null, changed: ALL } as const;
const remove = { op: "D", child: null, changed: ALL } as const;
const no = (outcome: Outcome) => ({ kind: null, parentWins: outcome, childWins: outcome });

const CASES: readonly Case[] = [
  { parent: "–", child: "changes a", detect: BOTH, clash: { child: row("2") }, ...no("the child's row") },
  {
    parent: "changes a",
    child: "changes a to the same",
    detect: BOTH,
    clash: { parent: row("2"), child: row("2") },
    ...no("the same row"),
    ...{ merge: "a merged", mergeKind: "update_update" },
  },
  { parent: "changes b", child: "changes a", detect: ["column"], clash: { parent: row("1", "2"), child: row("2") }, ...no("both edits") },
  {
    ...{ parent: "changes b", child: "changes a", detect: ["row"], clash: { parent: row("1", "2"), child: row("2") } },
    ...{ kind: "update_update", parentWins: "the parent's row", childWins: "the child's row", merge: "both edits" },
  },
  {
    ...{ parent: "changes b, which belongs to a", child: "changes a", detect: ["column"] },
    clash: { parent: row("1", "2"), child: row("2"), groups: [["a", "b"]] },
    ...{ kind: "update_update", parentWins: "the parent's row", childWins: "the child's row" },
  },
  {
    ...{ parent: "changes a", child: "changes a", detect: BOTH, clash: { parent: row("2"), child: row("3") } },
    ...{ kind: "update_update", parentWins: "the parent's row", childWins: "the child's row", merge: "a merged" },
  },
  {
    ...{
      parent: "changes a",
      child: "changes a and b",
      detect: ["column"],
      clash: { parent: row("2"), child: row("3", "3"), changed: ["a", "b"] },
    },
    ...{
      kind: "update_update",
      parentWins: "the parent's a, the child's b",
      childWins: "the child's row",
      merge: "a merged, the child's b",
    },
  },
  {
    ...{ parent: "changes a and b", child: "changes a", detect: ["column"], clash: { parent: row("2", "2"), child: row("3") } },
    ...{
      kind: "update_update",
      parentWins: "the parent's row",
      childWins: "the child's a, the parent's b",
      merge: "a merged, the parent's b",
    },
  },
  { parent: "changes a", child: "changes a and back", detect: BOTH, clash: { parent: row("2"), child: BASE }, ...no("the parent's row") },
  {
    ...{ parent: "changes a", child: "deletes", detect: BOTH, clash: { ...remove, parent: row("2") } },
    ...{ kind: "update_delete", parentWins: "the parent's row", childWins: "no row" },
  },
  {
    ...{ parent: "deletes", child: "changes a", detect: BOTH, clash: { parent: null, child: row("2") } },
    ...{ kind: "delete_update", parentWins: "no row", childWins: "the child's row" },
  },
  {
    parent: "deletes, its log no longer holds the row",
    ...{ child: "changes a", detect: BOTH, clash: { parent: null, child: { id: "7", a: "2" }, wholeChild: false } },
    ...{ kind: "delete_update", parentWins: "no row", childWins: "no row" },
  },
  { parent: "deletes", child: "changes a and back", detect: BOTH, clash: { parent: null, child: BASE }, ...no("no row") },
  { parent: "deletes", child: "deletes", detect: BOTH, clash: { ...remove, parent: null }, ...no("no row") },
  { parent: "–", child: "deletes", detect: BOTH, clash: remove, ...no("no row") },
  { parent: "–", child: "inserts", detect: BOTH, clash: { ...insert, parent: null, child: row("2") }, ...no("the child's row") },
  {
    parent: "inserts",
    child: "inserts the same",
    detect: BOTH,
    clash: { ...insert, parent: row("2"), child: row("2") },
    ...no("the same row"),
  },
  {
    ...{ parent: "inserts", child: "inserts", detect: BOTH, clash: { ...insert, parent: row("2"), child: row("3") } },
    ...{ kind: "insert_insert", parentWins: "the parent's row", childWins: "the child's row" },
  },
];

function outcome({ result }: Verdict, { parent, child, base }: Clash): Outcome {
  if (result === null) return "no row";
  const sum = Number(parent?.a) + Number(child?.a) - Number(base?.a);
  if (result.a === String(sum) && ![parent?.a, child?.a].includes(result.a)) {
    if (sameValue(parent?.b, child?.b)) return "a merged";
    return sameValue(result.b, child?.b) ? "a merged, the child's b" : "a merged, the parent's b";
  }
  const like = (other: Row | null): boolean => other !== null && ALL.every((column) => sameValue(result[column], other[column]));
  if (like(parent) && like(child)) return "the same row";
  if (like(parent)) return "the parent's row";
  if (like(child)) return "the child's row";
  const a = sameValue(result.a, child?.a);
  if (sameValue(parent?.a, BASE.a)) return "both edits";
  return a ? "the child's a, the parent's b" : "the parent's a, the child's b";
}

describe("the decision table", () => {
  for (const entry of CASES) {
    for (const detect of entry.detect) {
      const by = (policy: Policy, over: Partial<Clash> = {}) => clash({ ...entry.clash, detect, policy, ...over });
      const tries: readonly (readonly [string, Clash, Outcome, "parent" | "child" | "open"])[] = [
        ["parent_wins", by("parent_wins"), entry.parentWins, "parent"],
        ["child_wins", by("child_wins"), entry.childWins, "child"],
        ["newest_wins, the child is newer", by("newest_wins"), entry.childWins, "child"],
        ["newest_wins, the parent is newer", by("newest_wins", { childChangedAt: 999_999 }), entry.parentWins, "parent"],
        ["newest_wins, a tie", by("newest_wins", { childChangedAt: 1_000_000 }), entry.childWins, "child"],
        [
          "newest_wins, a tie with a lesser name",
          by("newest_wins", { childChangedAt: 1_000_000, childNode: nodeName("edge") }),
          entry.parentWins,
          "parent",
        ],
        ["newest_wins, the child's time unknown", by("newest_wins", { childChangedAt: null }), entry.parentWins, "parent"],
        ["newest_wins, the parent's time unknown", by("newest_wins", { parentChangedAt: null }), entry.parentWins, "parent"],
        ["manual", by("manual"), entry.parentWins, "open"],
      ];
      test.each(tries)(`the parent ${entry.parent}, the child ${entry.child}, by ${detect}: %s`, (_, given, expected, winner) => {
        const verdict = judge(given);
        expect(outcome(verdict, given)).toBe(expected);
        expect(verdict.conflict?.kind ?? null).toBe(entry.kind);
        const both = winner !== "open" && entry.parentWins === entry.childWins;
        if (verdict.conflict) expect(verdict.conflict.resolution).toBe(both ? "parent" : winner);
      });

      test(`the parent ${entry.parent}, the child ${entry.child}, by ${detect}: merge`, () => {
        const given = by("merge", { mergeColumns: { a: "counter" } });
        const verdict = judge(given);
        expect(outcome(verdict, given)).toBe(entry.merge ?? entry.parentWins);
        expect(verdict.conflict?.kind ?? null).toBe(entry.mergeKind ?? entry.kind);
        if (entry.merge !== undefined) expect(verdict.conflict?.resolution).toBe("merged");
      });
    }
  }

  test("docs/conflicts.md holds it as it is (UPDATE_DOCS=1 rewrites it)", async () => {
    const file = new URL("../../docs/conflicts.md", import.meta.url);
    const page = await readFile(file, "utf8");
    const lines = [
      "| the parent | the child | `detect` | `parent_wins`, `manual` | `child_wins` | `merge` | in the history as |",
      "|---|---|---|---|---|---|---|",
      ...CASES.map(({ parent, child, detect, parentWins, childWins, merge, kind, mergeKind }) => {
        const how = detect.map((word) => `\`${word}\``).join(", ");
        return `| ${parent} | ${child} | ${how} | ${parentWins} | ${childWins} | ${merge ?? parentWins} | ${kind ? `\`${kind}\`` : mergeKind ? `– (\`merge\`: \`${mergeKind}\`)` : "–"} |`;
      }),
    ];
    const wanted = page.replace(/(<!-- decisions: .*-->)[\s\S]*?(<!-- end -->)/, (_, open: string, close: string) =>
      [open, ...lines, close].join("\n"),
    );
    if (process.env.UPDATE_DOCS === "1") await writeFile(file, wanted);
    else expect(page).toBe(wanted);
    expect(wanted).toContain(lines.join("\n"));
  });
});

const text = fc.constantFrom<string | null>("1", "2", "3", null);
const image = fc.record({ id: fc.constant("7"), a: text, b: text, c: text });
const COLUMNS = ["id", "a", "b", "c"];
const anyClash: fc.Arbitrary<Clash> = fc
  .record({
    op: fc.constantFrom<Clash["op"]>("I", "U", "D"),
    base: image,
    child: image,
    parent: fc.option(image),
    policy: fc.constantFrom<Policy>("parent_wins", "child_wins", "newest_wins", "manual"),
    groups: fc.constantFrom<Clash["groups"]>([], [], [["a", "b"]], [["c", "a"]]),
    detect: fc.constantFrom<Detection>("column", "row"),
    parentChangedAt: fc.option(fc.nat(3)),
    childChangedAt: fc.option(fc.nat(3)),
    touched: fc.subarray(["a", "b", "c"], { minLength: 1 }),
    known: fc.boolean(),
  })
  .map(({ op, base, child, touched, known, ...rest }): Clash => {
    if (op === "I") return clash({ ...rest, op, base: null, child, changed: COLUMNS });
    if (op === "D") return clash({ ...rest, op, base, child: null, changed: COLUMNS });
    const changed = rest.detect === "row" || rest.groups.length > 0 ? COLUMNS : touched;
    const only = (source: Row): Row =>
      Object.fromEntries(Object.entries(source).filter(([column]) => column === "id" || changed.includes(column)));
    const before = known ? base : only(base);
    return clash({ ...rest, op, base: before, child: { ...before, ...only(child) }, wholeChild: known || changed === COLUMNS, changed });
  });

const freeze = (value: Clash): Clash => {
  for (const part of [value, value.base, value.child, value.parent, value.changed]) if (part) Object.freeze(part);
  return value;
};

test("the same clash gets the same verdict, and is not touched", () => {
  fc.assert(
    fc.property(anyClash, (given) => {
      const copy = structuredClone(given);
      expect(judge(freeze(given))).toEqual(judge(copy));
      expect(given).toEqual(copy);
    }),
    { numRuns: 2000 },
  );
});

test("the names of the columns decide nothing", () => {
  const renamed: { readonly [column: string]: string } = { id: "id", a: "__proto__", b: "constructor", c: "a" };
  const there = (source: Row | null): Row | null =>
    source && Object.fromEntries(Object.entries(source).map(([column, value]) => [renamed[column], value]));
  fc.assert(
    fc.property(anyClash, (given) => {
      const plain = judge(given);
      const other = judge({
        ...given,
        base: there(given.base),
        child: there(given.child),
        parent: there(given.parent),
        changed: given.changed.map((column) => renamed[column] ?? ""),
        groups: given.groups.map((group) => group.map((column) => renamed[column] ?? "")),
      });
      expect(Object.entries(other.result ?? {}).sort()).toEqual(Object.entries(there(plain.result) ?? {}).sort());
      expect([other.refresh, other.conflict?.kind, other.conflict?.resolution]).toEqual([
        plain.refresh,
        plain.conflict?.kind,
        plain.conflict?.resolution,
      ]);
    }),
    { numRuns: 2000 },
  );
});

test("every value of the result is one side's; what the child did not change stays the parent's; nothing is decided without a conflict", () => {
  fc.assert(
    fc.property(anyClash, (given) => {
      const { result, conflict } = judge(given);
      const { parent, child, base } = given;
      if (result === null) expect(parent === null || child === null).toBe(true);
      for (const [column, value] of Object.entries(result ?? {})) {
        expect(sameValue(value, parent?.[column]) || sameValue(value, child?.[column])).toBe(true);
        if (parent && given.op === "U" && given.detect === "column" && !given.changed.includes(column))
          expect(value).toEqual(parent[column]);
      }
      if (conflict) return;
      for (const policy of ["parent_wins", "child_wins", "newest_wins", "manual"] as const)
        expect(judge({ ...given, policy }).result).toEqual(result);
      // neither side's edit is lost
      for (const column of parent && child && base && given.op === "U" ? given.changed : []) {
        const edited = !sameValue(base?.[column], child?.[column]);
        expect(result?.[column]).toEqual(edited ? child?.[column] : parent?.[column]);
      }
    }),
    { numRuns: 3000 },
  );
});

test("the child is told whenever what the parent has is not what the child has, and after every conflict", () => {
  fc.assert(
    fc.property(anyClash, (given) => {
      const { result, conflict, refresh } = judge(given);
      const { child } = given;
      const columns = given.op === "U" && given.detect === "column" ? given.changed : Object.keys(child ?? {});
      const differs = (result === null) !== (child === null) || columns.some((column) => !sameValue(result?.[column], child?.[column]));
      expect(refresh).toBe(conflict !== null || (differs && !(result === null && child === null)));
    }),
    { numRuns: 3000 },
  );
});

test("by row, a child whose row is not known as a whole cannot win: its row would be mixed with the parent's", () => {
  const verdict = judge(
    clash({ parent: row("1", "2"), child: { id: "7", a: "2" }, wholeChild: false, policy: "child_wins", detect: "row" }),
  );
  expect(verdict).toMatchObject({
    result: row("1", "2"),
    conflict: { resolution: "parent", reason: expect.stringContaining("not known as a whole") },
  });
});

test("a deletion whose base is not known does not remove a row on a guess", () => {
  expect(judge(clash({ ...remove, base: null })).conflict?.kind).toBe("update_delete");
  expect(judge(clash({ ...remove, base: null })).result).toEqual(BASE);
});

test("reasons and kinds name columns and times, never values", () => {
  const secret = "4929-1111";
  const verdict = judge(clash({ parent: row(secret), child: row(`${secret}-2`), policy: "newest_wins" }));
  expect(verdict.conflict).toEqual({
    kind: "update_update",
    resolution: "child",
    reason: "The child's change is newer by 1.000000 s. (a)",
    columns: ["a"],
  });
});

test("a steady offset of the clock is taken off; a time that cannot be right is no time", () => {
  const now = { nowMs: 1_700_000_000_000 };
  const at = now.nowMs * 1000;
  expect(correctedTime(at, { offsetMs: 0, ...now })).toBe(at);
  expect(correctedTime(at + 3_600_000_000, { offsetMs: 3_600_000, ...now })).toBe(at);
  expect(correctedTime(at - 90_000_000, { offsetMs: -90_000.0004, ...now })).toBe(at);
  expect(correctedTime(at, { offsetMs: null, ...now })).toBeNull();
  expect(correctedTime(at + 60_000_000, { offsetMs: 0, ...now })).toBe(at + 60_000_000);
  expect(correctedTime(at + 60_000_001, { offsetMs: 0, ...now })).toBeNull();
  expect(correctedTime(0, { offsetMs: 0, ...now })).toBeNull();
  expect(usableOffset(CLOCK_LIMITS.maxOffsetMs)).toBe(CLOCK_LIMITS.maxOffsetMs);
  expect(usableOffset(-CLOCK_LIMITS.maxOffsetMs - 1)).toBeNull();
  expect(usableOffset(null)).toBeNull();
  expect(correctedTime(at, { offsetMs: 2_000, ...now, limits: { maxOffsetMs: 1_000, maxAheadMs: 0 } })).toBeNull();
});
