import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const biome = join(dirname(createRequire(import.meta.url).resolve("@biomejs/biome/package.json")), "bin/biome");

const FORBIDDEN = [
  ["replicator/change/zz.ts", "../node/node.ts"],
  ["replicator/topology/zz.ts", "../node/node.ts"],
  ["replicator/conflict/zz.ts", "../node/node.ts"],
  ["replicator/conflict/zz-up.ts", "../link/link.ts"],
  ["replicator/conflict/merge/zz.ts", "../../node/node.ts"],
  ["replicator/node/zz.ts", "../link/link.ts"],
  ["replicator/node/zz-engine.ts", "./postgres/open.ts"],
  ["replicator/node/postgres/zz.ts", "../sqlite/open.ts"],
  ["replicator/node/postgres/zz-up.ts", "../../conflict/judge.ts"],
  ["replicator/node/sqlite/zz.ts", "../postgres/open.ts"],
  ["replicator/node/sqlite/zz-up.ts", "../../topology/topology.ts"],
  ["replicator/link/zz.ts", "../hub/server.ts"],
  ["replicator/link/zz-engine.ts", "../node/postgres/open.ts"],
  ["replicator/full-sync/zz.ts", "../cli/run.ts"],
  ["replicator/reconcile/zz.ts", "../main.ts"],
  ["replicator/hub/zz.ts", "../cli/run.ts"],
  ["replicator/edge/zz.ts", "../cli/run.ts"],
  ["replicator/operations/zz.ts", "../cli/run.ts"],
  ["replicator/observability/zz.ts", "../cli/run.ts"],
  ["replicator/lifecycle/zz.ts", "../main.ts"],
  ["replicator/cli/zz.ts", "../main.ts"],
] as const;

const ALLOWED = [
  ["replicator/node/ok.ts", "../change/change.ts"],
  ["replicator/node/postgres/ok.ts", "../node.ts"],
  ["replicator/node/sqlite/ok.ts", "../../change/change.ts"],
  ["replicator/conflict/ok.ts", "../change/change.ts"],
  ["replicator/conflict/merge/ok.ts", "../../change/change.ts"],
  ["replicator/link/ok-node.ts", "../node/node.ts"],
  ["replicator/link/ok-conflict.ts", "../conflict/judge.ts"],
  ["replicator/link/ok-topology.ts", "../topology/topology.ts"],
  ["replicator/hub/ok.ts", "../link/link.ts"],
  ["replicator/cli/ok.ts", "../link/link.ts"],
] as const;

let directory: string;
let findings: readonly { readonly file: string; readonly rule: string }[];

const write = (file: string, text: string): void => {
  mkdirSync(dirname(join(directory, file)), { recursive: true });
  writeFileSync(join(directory, file), text);
};

/** One run of the linter over imports that the design forbids and allows, with the repository's own configuration. */
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tombolo-structure-"));
  for (const file of ["biome.json", "package.json", ".gitignore"]) copyFileSync(join(root, file), join(directory, file));
  for (const [file, from] of [...FORBIDDEN, ...ALLOWED])
    write(file, `import type { Thing } from "${from}";\n\nexport type Other = Thing;\n`);
  write("replicator/link/a.ts", 'import type { B } from "./b.ts";\n\nexport type A = B | null;\n');
  write("replicator/link/b.ts", 'import type { A } from "./a.ts";\n\nexport type B = A | undefined;\n');
  write("replicator/link/index.ts", 'export { now } from "./floating.ts";\n');
  write("replicator/link/floating.ts", "const later = async () => 1;\n\nexport function now() {\n  later();\n}\n");
  const args = [biome, "lint", "--reporter=github", "--colors=off", "--max-diagnostics=500", "."];
  let output = "";
  try {
    output = execFileSync(process.execPath, args, { cwd: directory, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    output = (error as { stdout: string }).stdout;
  }
  findings = [...output.matchAll(/title=lint\/\w+\/(\w+),file=([^,]+)/g)].map(([, rule = "", file = ""]) => ({
    rule,
    file: file.slice(file.indexOf("replicator/")),
  }));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const rulesFor = (file: string): string[] => findings.filter((finding) => finding.file === file).map(({ rule }) => rule);

test.each(FORBIDDEN)("%s may not import %s", (file) => {
  expect(rulesFor(file)).toContain("noRestrictedImports");
});

test.each(ALLOWED)("%s may import %s", (file) => {
  expect(rulesFor(file)).not.toContain("noRestrictedImports");
});

test("a cycle of imports, types included, a barrel and a floating promise are findings", () => {
  expect(rulesFor("replicator/link/a.ts")).toContain("noImportCycles");
  expect(rulesFor("replicator/link/index.ts")).toContain("noBarrelFile");
  expect(rulesFor("replicator/link/floating.ts")).toContain("noFloatingPromises");
});

test("no file of the product is longer than 400 lines", () => {
  const sources = ["replicator", "config"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  );
  const long = sources
    .filter((name) => name.endsWith(".ts"))
    .filter((name) => readFileSync(join(root, name), "utf8").split("\n").length > 400);
  expect(long).toEqual([]);
});

test.each(["postgres", "sqlite"])(
  "migrations of sql/%s are numbered one after the other: a second file of a number would be left out where the first has run",
  (engine) => {
    const numbers = readdirSync(join(root, "sql", engine)).flatMap((file) => /^(\d{4})_\w+\.sql$/.exec(file)?.[1] ?? []);
    expect(numbers.toSorted().map(Number)).toEqual(numbers.map((_, at) => at + 1));
  },
);
