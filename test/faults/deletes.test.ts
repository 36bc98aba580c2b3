import { expect, test } from "vitest";
import type { ConflictRule } from "../../replicator/change/verdict.ts";
import { everyOrder, GAPS, play, type Run, sequences, writesOf } from "../helpers/tree-cases.ts";

const FULL = process.env.TOMBOLO_FAULTS === "full";

const RULES: readonly Partial<ConflictRule>[] = [
  ...(["parent_wins", "child_wins", "newest_wins", "manual"] as const).flatMap((policy) => [
    { policy },
    { policy, detect: "row" as const },
  ]),
  ...(["parent_wins", "child_wins", "newest_wins"] as const).map((otherwise) => ({
    policy: "merge" as const,
    groups: [["a", "b"]],
    otherwise,
  })),
];
const ENGINES: readonly Run["engines"][] = [
  ["sqlite", "sqlite", "sqlite"],
  ["postgres", "sqlite", "sqlite"],
  ["postgres", "sqlite", "postgres"],
  ["sqlite", "postgres", "sqlite"],
  ["postgres", "postgres", "postgres"],
];

/** `test/link/deletes.test.ts` plays a part of these. */
test.each(ENGINES)(
  "every order of three writes, every exchange between them and every policy: all nodes are equal and no write is unaccounted for (%s, %s, %s)",
  {
    timeout: 7_200_000,
  },
  async (...engines) => {
    const cases = everyOrder(writesOf("put", "delete", "replace"), FULL ? 3 : 2);
    const exchanges = sequences(GAPS, FULL ? 2 : 1);
    const wrong: string[] = [];
    for (const [at, gaps] of exchanges.entries()) {
      for (const [number, rule] of RULES.entries()) {
        if (!FULL && (at * 5 + number) % 26 > 0) continue;
        const played = await play({ engines, rule, cases, gaps });
        wrong.push(...played.wrong.map((what) => `${JSON.stringify(rule)}, ${JSON.stringify(gaps)}: ${what}`));
      }
    }
    expect(wrong).toEqual([]);
  },
);
