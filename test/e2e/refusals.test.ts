import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { freePort, start, tombolo, until } from "../helpers/command.ts";

vi.setConfig({ testTimeout: 60_000 });

const folder = mkdtempSync(join(tmpdir(), "tombolo-refusals-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

const SCHEMA = "create table orders (id text primary key not null, note text)";

function database(name: string, schema = SCHEMA): string {
  const made = new Database(at(name));
  made.exec(schema);
  made.close();
  return at(name);
}

/** Of a hub and a store; `link` and `more` are what a case is about. */
function topology(name: string, { store = "store.db", link = "", more = "" } = {}): string {
  writeFileSync(
    at(name),
    `version: 1
name: shop
nodes:
  - { name: hub, type: sqlite, path: ${at("hub.db")} }
  - { name: store, type: sqlite, path: ${at(store)} }
channels: [{ name: sales, tables: [orders] }]
links: [{ parent: hub, child: store, channels: [sales]${link} }]
${more}`,
  );
  return at(name);
}

beforeAll(async () => {
  database("hub.db");
  database("store.db");
  database("bare.db");
  database("other.db");
  writeFileSync(at("text.db"), "this is not a database, however long it is read ".repeat(100));
  mkdirSync(at("folder.db"));
  topology("good.yaml");
  topology("bare.yaml", { store: "bare.db" });
  topology("damaged.yaml", { store: "text.db" });
  topology("folder.yaml", { store: "folder.db" });
  topology("files.yaml", { store: "other.db", link: ", transport: file" });
  topology("trusting.yaml", { store: "other.db", link: ", transport: file", more: `medium: { key: ${at("text.db")} }\n` });
  writeFileSync(at("bad.yaml"), "version: 1\nname: shop\nnodes: []\n");
  writeFileSync(`${at("store.db")}-tombolo-edge.json`, '{"hub":"http://127.0.0.1:1"');
  for (const verb of [["apply", "--yes"], ["sync"]]) {
    const { code, stderr } = await tombolo(["-c", at("good.yaml"), ...verb]);
    expect(code, stderr).toBe(0);
  }
});

/** What is done, its code, and how the command ends. */
const REFUSED: [code: string, exit: number, args: string[], env?: Record<string, string>][] = [
  ["TOO_FEW_DATABASES", 2, ["init", "--sqlite", at("hub.db")]],
  ["FILE_NOT_WRITABLE", 2, ["init", "--sqlite", at("hub.db"), "--sqlite", at("store.db"), "--out", at("nowhere/topology.yaml")]],
  ["FILE_NOT_WRITABLE", 2, ["keys", "create", at("nowhere/key")]],
  ["TOPOLOGY_INVALID", 2, ["-c", at("bad.yaml"), "plan"]],
  ["CONFIRMATION_NEEDED", 2, ["-c", at("bare.yaml"), "apply"]],
  ["FAILPOINT_UNKNOWN", 2, ["-c", at("good.yaml"), "sync"], { TOMBOLO_FAILPOINT: "nowhere" }],
  ["DATABASE_DAMAGED", 1, ["-c", at("damaged.yaml"), "plan"]],
  ["DATABASE_UNREACHABLE", 4, ["-c", at("folder.yaml"), "plan"]],
  ["NODE_NOT_INSTALLED", 1, ["-c", at("bare.yaml"), "sync"]],
  ["RANGE_UNORDERED", 2, ["-c", at("good.yaml"), "reconcile", "--table", "orders", "--range", "1..2"]],
  ["MEDIUM_LINK", 2, ["-c", at("good.yaml"), "export", at("a.medium"), "--from", "store", "--to", "hub"]],
  ["MEDIUM_KEY", 2, ["-c", at("files.yaml"), "export", at("a.medium"), "--from", "hub", "--to", "store"]],
  ["MEDIUM_KEY", 2, ["-c", at("trusting.yaml"), "export", at("a.medium"), "--from", "hub", "--to", "store"]],
  ["EDGE_CREDENTIAL", 2, ["edge", "--database", at("store.db")]],
  ["HUB_ADDRESS", 2, ["edge", "--database", at("other.db"), "--hub", "ftp://hub", "--code", "tbc_x"]],
];

test.each(REFUSED)("%s ends with %d, says what is wrong and what to do: %j", async (...refused) => {
  const [code, exit, args, env = {}] = refused;
  const { code: ended, stdout, stderr } = await tombolo(args, { TOMBOLO_CONFIG: "", ...env });
  const said = stdout + stderr;
  expect(said).toContain(code);
  expect(ended, said).toBe(exit);
  // a sentence about this very thing, and no trace of the code
  expect(said).not.toMatch(/^\s+at .*\.js:\d+/m);
});

describe("what `doctor` finds in a SQLite node", () => {
  const found = async (): Promise<{ code: string; severity: string; hint: string | null }[]> => {
    const { stdout } = await tombolo(["-c", at("good.yaml"), "doctor", "--json"]);
    return JSON.parse(stdout).nodes.find(({ name }: { name: string }) => name === "store").findings;
  };

  test("is that all is well, or that a hole was noticed in what is captured", async () => {
    expect((await found()).map(({ code, severity }) => `${severity} ${code}`)).toEqual(
      expect.arrayContaining(["ok SQLITE_VERSION", "ok JOURNAL_MODE", "ok CLOCK"]),
    );
    const application = new Database(at("store.db"));
    application.exec("create unique index by_note on orders (note)");
    application.close();
    // who is started now and then looks, too
    expect((await tombolo(["-c", at("good.yaml"), "sync"])).stderr).toContain("CAPTURE_OUTDATED");
    const findings = await found();
    const codes = findings.map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(["MUST_COMPARE", "TABLE_MUST_COMPARE"]));
    for (const { severity, hint, code } of findings) if (severity !== "ok") expect(hint, code).toBeTruthy();
  });
});

test("the metrics' server answers what it has, to who reads only", async () => {
  const port = await freePort();
  const file = topology("metrics.yaml", { more: `metrics: { listen: 127.0.0.1:${port} }\n` });
  const run = start(["-c", file, "run"]);
  const ask = async (path: string, method = "GET") => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return [answer.status, ((await answer.json().catch(() => ({}))) as { code?: string }).code];
  };
  try {
    await until("it listens", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status > 0);
    expect(await ask("/nowhere")).toEqual([404, "NOT_FOUND"]);
    expect(await ask("/metrics", "POST")).toEqual([405, "METHOD_NOT_ALLOWED"]);
  } finally {
    await run.stop();
  }
});
