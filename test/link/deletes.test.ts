import { describe, expect, test } from "vitest";
import type { ConflictRule } from "../../replicator/change/verdict.ts";
import {
  type Case,
  type Engine,
  everyOrder,
  GAPS,
  type Gap,
  type Played,
  play,
  type Run,
  sequences,
  type TreeLink,
  type Write,
  writesOf,
} from "../helpers/tree-cases.ts";

/** Every policy, and rows as wholes. `test/faults/deletes.test.ts` plays each of them with every exchange. */
const RULES: readonly Partial<ConflictRule>[] = [
  { policy: "parent_wins" },
  { policy: "child_wins" },
  { policy: "newest_wins" },
  { policy: "manual" },
  { policy: "merge", groups: [["a", "b"]], otherwise: "child_wins" },
  { policy: "child_wins", detect: "row" },
];
const ORDERS = everyOrder(writesOf("put", "delete"), 3);
const EXCHANGES = sequences(GAPS, 2);

const gapsOf = ({ gaps }: Pick<Run, "gaps">): string =>
  gaps.map(({ links, inside }) => `${links.join("+") || "nothing"}${inside ? " around the writes" : ""}`).join(", then ");

async function expectAccounted(run: Run): Promise<Played> {
  const played = await play(run);
  const { wrong, writes } = played;
  expect(wrong, `${run.engines.join(", ")}, ${JSON.stringify(run.rule)}, exchanges: ${gapsOf(run)}`).toEqual([]);
  expect(writes).toBeGreaterThan(run.cases.length);
  return played;
}

describe("every order of three creations, updates, deletions and re-creations at a hub, a node in the middle and a leaf converges, and nothing is lost unrecorded,", () => {
  test("with all kinds of exchanges between them, in SQLite", { timeout: 120_000 }, async () => {
    for (const [at, gaps] of EXCHANGES.filter((_, at) => at % 2 === 0).entries()) {
      await expectAccounted({ engines: ["sqlite", "sqlite", "sqlite"], rule: RULES[at % RULES.length] ?? {}, cases: ORDERS, gaps });
    }
  });

  // what falls into the middle of an exchange with the hub is where its log is looked back into
  test.each<[Engine, readonly (readonly [rule: number, first: number, then: number])[]]>([
    [
      "postgres",
      [
        [1, 0, 5],
        [2, 5, 3],
        [5, 6, 1],
      ],
    ],
    [
      "sqlite",
      [
        [1, 3, 5],
        [4, 5, 6],
        [3, 4, 0],
      ],
    ],
  ])("from a Postgres hub over SQLite to a %s leaf, with the same rows in the end", { timeout: 120_000 }, async (leaf, choices) => {
    for (const [rule, ...exchanges] of choices) {
      const gaps = exchanges.map((at) => GAPS[at] as Gap);
      const run = { rule: RULES[rule] ?? {}, cases: ORDERS, gaps };
      const { rows } = await expectAccounted({ ...run, engines: ["postgres", "sqlite", leaf] });
      // times of changes are not the same in two runs
      if (run.rule.policy === "newest_wins") continue;
      const inSqlite = await play({ ...run, engines: ["sqlite", "sqlite", "sqlite"] });
      expect(rows, `as in SQLite: ${JSON.stringify(run.rule)}, ${gapsOf(run)}`).toEqual(inSqlite.rows);
    }
  });

  test.each<[Engine, Engine]>([
    ["sqlite", "sqlite"],
    ["postgres", "postgres"],
  ])("while the leaf is away for years, and %s and %s purge what nobody needs", { timeout: 120_000 }, async (hub, leaf) => {
    const apart = GAPS.filter(({ links, inside }) => !inside && !links.includes("lower"));
    for (const [at, gaps] of sequences(apart, 2).entries()) {
      if (hub === "postgres" && at % 2 === 1) continue;
      await expectAccounted({ engines: [hub, "sqlite", leaf], rule: RULES[at % RULES.length] ?? {}, cases: ORDERS, gaps, aging: true });
    }
  });
});

test.each<[Run["engines"]]>([[["sqlite", "sqlite", "sqlite"]], [["postgres", "sqlite", "sqlite"]], [["postgres", "postgres", "sqlite"]]])(
  "what a parent has deleted, and a child heard of and goes on editing, is kept until that edit is judged (%s)",
  async (engines) => {
    const write = (node: Write["node"], op: Write["op"]): Write => ({ node, op });
    const inTheMiddle = (link: TreeLink): Gap => ({ links: [link], inside: true });
    const cases = [{ key: "a", exists: true, writes: [write(0, "put"), write(0, "delete"), write(1, "put")] }];
    await expectAccounted({ engines, rule: { policy: "child_wins" }, cases, gaps: [GAPS[0] as Gap, inTheMiddle("upper")] });
    const below = [{ key: "a", exists: true, writes: [write(1, "put"), write(1, "delete"), write(2, "put")] }];
    await expectAccounted({ engines, rule: { policy: "child_wins" }, cases: below, gaps: [GAPS[0] as Gap, inTheMiddle("lower")] });
  },
);

/** The same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const SLOTS = 10;
const WRITES: readonly (Write | null)[] = [...writesOf("put", "delete", "replace"), null];

test.each<[Run["engines"], number]>([
  [["sqlite", "sqlite", "sqlite"], 4],
  [["postgres", "sqlite", "postgres"], 1],
])("rows that are deleted and inserted anew on all sides at once, again and again (%s)", { timeout: 120_000 }, async (engines, runs) => {
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
    const cases: Case[] = Array.from({ length: 60 }, (_, at) => ({
      key: `k${at}`,
      exists: random() < 0.5,
      writes: Array.from({ length: SLOTS }, () => pick(WRITES)),
    }));
    const gaps = Array.from({ length: SLOTS - 1 }, () => pick(GAPS));
    await expectAccounted({ engines, rule: RULES[seed % RULES.length] ?? {}, cases, gaps });
  }
});
