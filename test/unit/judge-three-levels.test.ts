import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import type { Row } from "../../replicator/change/value.ts";
import { type ConflictRule, type Detection, PLAIN_RULE, type Policy } from "../../replicator/change/verdict.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { ModelNode, settle, state } from "./judge-model.ts";

const judge = createJudge(createModuleRunner());
const KEY = '{"id":"1"}';
const LEVELS = ["hub", "middle", "leaf"] as const;
const ACTS = ["–", "changes a", "deletes"] as const;
type Act = (typeof ACTS)[number] | "changes b";
type Acts = readonly [hub: Act, middle: Act, leaf: Act];

/** Each does its part while all are out of reach of each other; then they are joined, the lower link or the upper one first. */
function outcome(acts: Acts, rule: ConflictRule, { times, lowerFirst }: { times: readonly number[]; lowerFirst: boolean }): string {
  const nodes = LEVELS.map((name) => new ModelNode(name, { rule, judge, echo: "ask", holdBack: true, fold: {} }));
  const [hub, middle, leaf] = nodes as [ModelNode, ModelNode, ModelNode];
  const upper = { parent: hub, child: middle };
  const lower = { parent: middle, child: leaf };
  hub.write(KEY, { a: "before", b: "before" }, 0);
  settle([upper, lower], 10);
  for (const [level, act] of acts.entries()) {
    const by = LEVELS[level] as string;
    const node = nodes[level] as ModelNode;
    const now = node.rows.get(KEY) as Row;
    if (act === "deletes") node.write(KEY, null, times[level] as number);
    else if (act !== "–") node.write(KEY, { ...now, [act.at(-1) as string]: by }, times[level] as number);
  }
  settle([lowerFirst ? lower : upper], 10);
  settle([upper, lower], 10);
  for (const node of nodes) expect(state(node), node.name).toEqual(state(hub));
  const row = hub.rows.get(KEY);
  if (row === undefined) return "no row";
  const touched = (["a", "b"] as const).filter((column) => row[column] !== "before");
  if (touched.length === 0) return "the row as before";
  return touched.map((column) => `${column} of the ${row[column]}`).join(", ");
}

const both = (acts: Acts, rule: ConflictRule, times: readonly number[] = [1, 2, 3]): string => {
  const [one, other] = [true, false].map((lowerFirst) => outcome(acts, rule, { times, lowerFirst }));
  expect(other, "the order in which the links come up makes no difference").toBe(one);
  return one as string;
};

const COMBINATIONS: readonly { readonly acts: Acts; readonly detect: readonly Detection[] }[] = [
  ...ACTS.flatMap((hub) => ACTS.flatMap((middle) => ACTS.map((leaf): Acts => [hub, middle, leaf])))
    .filter((acts) => acts.filter((act) => act !== "–").length >= 2)
    .map((acts) => ({ acts, detect: ["column", "row"] as const })),
  ...(["column", "row"] as const).flatMap((detect) =>
    [
      ["changes b", "–", "changes a"] as Acts,
      ["–", "changes b", "changes a"] as Acts,
      ["changes b", "changes a", "–"] as Acts,
      ["changes a", "changes b", "changes a"] as Acts,
    ].map((acts) => ({ acts, detect: [detect] })),
  ),
];

describe("three levels", () => {
  const lines: string[] = [];
  for (const { acts, detect } of COMBINATIONS) {
    test(`hub ${acts[0]}, middle ${acts[1]}, leaf ${acts[2]}, by ${detect.join(" and ")}`, () => {
      const results = detect.map((how) => {
        const by = (policy: Policy, times?: readonly number[]) => both(acts, { ...PLAIN_RULE, policy, detect: how }, times);
        const row = { parentWins: by("parent_wins"), childWins: by("child_wins") };
        expect(by("manual")).toBe(row.parentWins);
        return { ...row, lowestNewest: by("newest_wins", [1, 2, 3]), highestNewest: by("newest_wins", [3, 2, 1]) };
      });
      for (const result of results) expect(result).toEqual(results[0]);
      const { parentWins = "", childWins = "", lowestNewest = "", highestNewest = "" } = results[0] ?? {};
      const cells = [...acts, detect.map((how) => `\`${how}\``).join(", "), parentWins, childWins, lowestNewest, highestNewest];
      lines.push(`| ${cells.join(" | ")} |`);
    });
  }

  test("docs/conflicts.md holds it as it is (UPDATE_DOCS=1 rewrites it)", async () => {
    const file = new URL("../../docs/conflicts.md", import.meta.url);
    const page = await readFile(file, "utf8");
    const table = [
      "| the hub | the middle | the leaf | `detect` | `parent_wins`, `manual` | `child_wins` | `newest_wins`, the leaf's is newest | `newest_wins`, the hub's is newest |",
      "|---|---|---|---|---|---|---|---|",
      ...lines,
    ];
    const wanted = page.replace(/(<!-- three levels: .*-->)[\s\S]*?(<!-- end -->)/, (_, open: string, close: string) =>
      [open, ...table, close].join("\n"),
    );
    if (process.env.UPDATE_DOCS === "1") await writeFile(file, wanted);
    else expect(page).toBe(wanted);
    expect(wanted).toContain(table.join("\n"));
  });
});
