import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { without } from "../guards/edit.ts";
import { GUARDS, KNOWN_MISTAKES } from "../guards/guards.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/promises.md"), "utf8");
/** How many hazards of each letter there are. */
const HAZARDS = { A: 42, B: 39, C: 35, D: 36, E: 16, F: 28, G: 16, H: 20 };
const IDS = Object.entries(HAZARDS).flatMap(([letter, count]) => Array.from({ length: count }, (_, at) => `${letter}${at + 1}`));

const rows = PAGE.split("\n").flatMap((line) => {
  const [, id, what, guard, proof] = /^\| ([A-H]\d+) \| (.*?) \| (.*?) \| (.*) \|$/.exec(line) ?? [];
  return id === undefined ? [] : [{ id, what: what ?? "", guard: guard ?? "", proof: proof ?? "" }];
});
const NAMED = /`([\w/-]+\.test\.ts)` "([^"]*)"/g;

const sources = new Map<string, string>();
function source(file: string): string {
  const known = sources.get(file) ?? readFileSync(join(ROOT, "test", file), "utf8");
  sources.set(file, known);
  return known;
}

/** What stands in a test's file as the first thing in brackets: the titles are among it. */
const titles = (file: string): string[] =>
  [...source(file).matchAll(/\(\s*(["`])((?:\\.|(?!\1)[\s\S])*?)\1/g)].map((match) => match[2] as string);

test("every hazard has one row, in order, with what goes wrong and a test, or the word that there is none", () => {
  expect(rows.map(({ id }) => id)).toEqual(IDS);
  for (const { id, what, proof } of rows) {
    expect(what, id).not.toBe("");
    expect(proof, id).toMatch(/`[\w/-]+\.test\.ts` "|^not covered|^does not apply, because /);
  }
});

test("every test that the page names is there", () => {
  const named = [...PAGE.matchAll(NAMED)].map(([, file, title]) => ({ file: file as string, title: title as string }));
  expect(named.length).toBeGreaterThan(IDS.length);
  const missing = named.filter(({ file, title }) => !titles(file).some((one) => one.includes(title)));
  expect(missing).toEqual([]);
});

test("every guard can be taken out, belongs to a hazard, and the known mistakes are on the page", () => {
  for (const { name, hazards, edits } of GUARDS) {
    for (const id of hazards) expect(IDS, name).toContain(id);
    expect(edits.length, name).toBeGreaterThan(0);
    for (const file of new Set(edits.map((edit) => edit.file))) {
      const text = readFileSync(join(ROOT, file), "utf8");
      expect(
        without(
          text,
          edits.filter((edit) => edit.file === file),
        ),
        name,
      ).not.toBe(text);
    }
  }
  expect(new Set(GUARDS.map(({ name }) => name)).size).toBe(GUARDS.length);
  for (const { name, without: what } of KNOWN_MISTAKES) expect(PAGE).toContain(`| ${name} | ${what} |`);
});
