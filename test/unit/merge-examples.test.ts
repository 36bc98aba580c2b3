import { readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { MergeKind } from "../../replicator/change/verdict.ts";
import { mergeColumn } from "../../replicator/conflict/merge/merge-column.ts";

type Example = readonly [
  kind: MergeKind,
  base: string | null,
  parent: string | null,
  child: string | null,
  outcome: string | { readonly overlap: string },
];

/** The examples of docs/conflicts.md. */
const EXAMPLES: readonly Example[] = [
  ["text", "Call Ada on Monday.", "Call Ada on Friday.", "Call Ada Lovelace on Monday.", "Call Ada Lovelace on Friday."],
  ["text", "milk\neggs", "milk\nbread\neggs", "milk\ntea\neggs\nsalt", "milk\nbread\ntea\neggs\nsalt"],
  ["text", "Bring keys. Call Ada.", "Call Ada. Bring keys.", "Bring the keys. Call Ada.", "Call Ada. Bring the keys."],
  ["text", "one two three four five", "one four five", "one two five", "one five"],
  ["text", "at 10:30", "at 11:30", "at 10:45", { overlap: "both sides changed the same words in different ways (line 1)" }],
  ["text", "a\nb\nc", "a\nc", "a\nb, too\nc", { overlap: "one side deleted what the other changed (line 2)" }],
  [
    "json",
    '{"size": 1, "tags": ["a"]}',
    '{"size": 2, "tags": ["a"]}',
    '{"size": 1, "tags": ["a", "b"]}',
    '{"size": 2, "tags": ["a", "b"]}',
  ],
  [
    "json",
    '[{"id": 1, "n": 5}, {"id": 2, "n": 5}]',
    '[{"id": 2, "n": 5}, {"id": 1, "n": 5}]',
    '[{"id": 1, "n": 6}, {"id": 2, "n": 5}]',
    '[{"id": 2, "n": 5}, {"id": 1, "n": 6}]',
  ],
  ["json", '{"size": 1}', '{"size": 2}', '{"size": 3}', { overlap: "both sides changed $.size in different ways" }],
  ["set", "{red,blue}", "{red,blue,green}", '{blue,"light grey"}', '{blue,green,"light grey"}'],
  ["counter", "10", "12", "7", "9"],
  ["counter", "1.50", "1.75", "1.75", "2.00"],
  ["max", "5", "9", "10", "10"],
  ["min", "2024-03-01", "2024-02-01", null, "2024-02-01"],
];

test.each(EXAMPLES)("%s: %j, %j and %j", (kind, base, parent, child, outcome) => {
  expect(mergeColumn(kind, { base, parent, child })).toEqual(typeof outcome === "string" ? { value: outcome } : outcome);
});

test("docs/conflicts.md shows them as they are (UPDATE_DOCS=1 rewrites it)", async () => {
  const file = new URL("../../docs/conflicts.md", import.meta.url);
  const page = await readFile(file, "utf8");
  const cell = (value: string | null): string => (value === null ? "NULL" : `\`${value.replaceAll("\n", " ⏎ ")}\``);
  const lines = [
    "| | before | the parent | the child | outcome |",
    "|---|---|---|---|---|",
    ...EXAMPLES.map(([kind, base, parent, child, outcome]) => {
      const result = typeof outcome === "string" ? cell(outcome) : `\`otherwise\`: ${outcome.overlap}`;
      return `| \`${kind}\` | ${cell(base)} | ${cell(parent)} | ${cell(child)} | ${result} |`;
    }),
  ];
  const wanted = page.replace(/(<!-- merging: .*-->)[\s\S]*?(<!-- end -->)/, (_, start: string, end: string) =>
    [start, ...lines, end].join("\n"),
  );
  if (process.env.UPDATE_DOCS === "1") await writeFile(file, wanted);
  else expect(page).toBe(wanted);
  expect(wanted).toContain(lines.join("\n"));
});
