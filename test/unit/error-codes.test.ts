import { readdir, readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { CODE_TABLES, errorsPage } from "../../replicator/change/error-codes.ts";

const ROOT = new URL("../../replicator/", import.meta.url);
const ROWS = CODE_TABLES.flatMap(({ rows }) => rows);

/** Words in capitals that are codes of somebody else: drivers, Node, YAML, files of Postgres. */
const FOREIGN =
  /^(?:SQLITE_(?!NAME_COLLISION$|TOO_OLD$|VERSION$).*|ERR_STREAM_PREMATURE_CLOSE|ERR_STRING_TOO_LONG|PG_VERSION|UNEXPECTED_TOKEN|MISSING_CHAR|BAD_INDENT|TAG_RESOLVE_FAILED)$/;

/** A code is told by its underscore, or by what it is given to. */
const CODE = /"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"|(?:code: |\b(?:ok|error|warning|fault|drift)\(\s*)"([A-Z]+)"/g;

const sources = async (): Promise<(readonly [file: string, text: string])[]> => {
  const files = (await readdir(ROOT, { recursive: true })).filter((file) => file.endsWith(".ts") && !/^change\/code/.test(file));
  return Promise.all(files.map(async (file) => [file, await readFile(new URL(file, ROOT), "utf8")] as const));
};

test("every code that the source uses is listed with its meaning and remedy, and no other", async () => {
  const used = new Map<string, string>();
  for (const [file, text] of await sources()) {
    for (const [, several, one] of text.matchAll(CODE)) {
      const code = several ?? one ?? "";
      if (!FOREIGN.test(code)) used.set(code, file);
    }
  }
  const listed = new Set(ROWS.map(([code]) => code));
  expect(
    [...used].filter(([code]) => !listed.has(code)).map((entry) => entry.join(" in ")),
    "used, not listed",
  ).toEqual([]);
  expect(
    [...listed].filter((code) => !used.has(code)),
    "listed, not used",
  ).toEqual([]);
  expect(listed.size, "a code is listed once").toBe(ROWS.length);
});

test("the kind that is listed is one that the code is thrown with", async () => {
  const kinds = new Map<string, Set<string>>();
  for (const [, text] of await sources()) {
    for (const [, code = "", kind = ""] of text.matchAll(/code: "([A-Z_]+)",\s*kind: "(retry|operator|usage|connect|newer|fatal)"/g)) {
      kinds.set(code, (kinds.get(code) ?? new Set()).add(kind));
    }
  }
  expect(kinds.size).toBeGreaterThan(40);
  // what is parked is thrown inside, too, and caught by the one who parks it
  const wrong = ROWS.filter(([code, kind]) => kind !== "parked" && kinds.get(code)?.has(kind) === false);
  expect(wrong.map(([code, kind]) => `${code} is listed as ${kind}`)).toEqual([]);
});

test("docs/errors.md is made from the table (UPDATE_DOCS=1 rewrites it)", async () => {
  const file = new URL("../../docs/errors.md", import.meta.url);
  if (process.env.UPDATE_DOCS === "1") await writeFile(file, errorsPage());
  expect(await readFile(file, "utf8")).toBe(errorsPage());
});
