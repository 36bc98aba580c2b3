import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Finished, tombolo } from "../helpers/command.ts";

const folder = mkdtempSync(join(tmpdir(), "tombolo-media-"));
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
const database = (name: string): Database.Database => new Database(path(`${name}.db`));

/** Each side has a topology of its own, in which only its own database can be reached. */
function topology(side: "hub" | "ship"): string {
  const other = side === "hub" ? "ship" : "hub";
  const file = path(`${side}.yaml`);
  const at = (name: string) => (name === side ? path(`${name}.db`) : path(`nowhere/${name}.db`));
  writeFileSync(
    file,
    `version: 1
name: voyage
nodes:
  - { name: hub, type: sqlite, path: ${at("hub")} }
  - { name: ship, type: sqlite, path: ${at("ship")} }
channels: [{ name: cargo, tables: [{ name: boxes, conflict: newest_wins }] }]
links: [{ parent: hub, child: ship, channels: [cargo], transport: file }]
medium: { key: ${path(`${side}.key`)}, trust: { ${other}: ${path(`${other}.key.pub`)} } }
metrics: off
`,
  );
  return file;
}

const at = (side: "hub" | "ship", ...args: string[]): Promise<Finished> => tombolo(["-c", path(`${side}.yaml`), ...args]);
const other = { hub: "ship", ship: "hub" } as const;

/** A medium from one side to the other; answers what the import said. */
async function carry(from: "hub" | "ship", name: string, ...options: string[]): Promise<string> {
  const exported = await at(from, "export", path(name), "--from", from, "--to", other[from], ...options);
  expect(exported.code, exported.stderr).toBe(0);
  const imported = await at(other[from], "import", path(name), ...options);
  expect(imported.code, imported.stderr).toBe(0);
  return imported.stdout;
}

beforeAll(async () => {
  for (const side of ["hub", "ship"] as const) {
    database(side).exec("create table boxes (id text primary key not null, content text)").close();
    topology(side);
    const made = await at(side, "keys", "create", path(`${side}.key`));
    expect(made.code, made.stderr).toBe(0);
    const applied = await at(side, "apply", "--yes", "--node", side);
    expect(applied.code, applied.stderr).toBe(0);
  }
});

test("a ship and its hub exchange changes on files, each with its own database only", { timeout: 120_000 }, async () => {
  expect(statSync(path("ship.key")).mode & 0o777).toBe(0o600);
  const ship = database("ship");
  const hub = database("hub");
  hub.exec("insert into boxes values ('h', 'of the hub')");
  ship.exec("insert into boxes values ('s', 'of the ship')");
  const greeting = await at("ship", "export", path("1.medium"), "--from", "ship", "--to", "hub");
  expect(greeting.stdout).toBe(
    `${path("1.medium")}: medium 1 from ship to hub, only where this node is: nothing has been heard of the other yet\n`,
  );
  expect(greeting.stderr).toContain("not encrypted");
  expect((await at("hub", "import", path("1.medium"))).code).toBe(0);
  expect(await carry("hub", "2.medium")).toBe(`${path("2.medium")}: medium 1 from hub to ship: 1 change, 0 conflicts resolved\n`);
  writeFileSync(path("passphrase"), "correct horse\n");
  await carry("ship", "3.medium", "--passphrase-file", path("passphrase"));
  expect(readFileSync(path("3.medium"), "latin1")).not.toContain("boxes");
  await carry("hub", "4.medium");
  const rows = "select * from boxes order by id";
  expect(ship.prepare(rows).all()).toEqual(hub.prepare(rows).all());
  expect(hub.prepare(rows).all()).toHaveLength(2);
  const again = await at("hub", "import", path("3.medium"), "--passphrase-file", path("passphrase"), "--json");
  expect(JSON.parse(again.stdout).imported).toMatchObject([{ from: "ship", to: "hub", number: 2, taken: false, changes: 0 }]);
  ship.close();
  hub.close();
});

test("what is wrong is named, and nothing is taken", { timeout: 120_000 }, async () => {
  const refused = async (args: readonly string[], code: string, side: "hub" | "ship" = "hub") =>
    expect(await at(side, ...args)).toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining(code) });
  await refused(["import", path("ship.key")], "MEDIUM_DAMAGED");
  await refused(["import", path("3.medium"), "--passphrase-file", path("nowhere")], "OPTION_INVALID");
  await refused(["export", path("x.medium"), "--from", "hub"], "OPTION_INVALID");
  await refused(["export", path("1.medium"), "--from", "hub", "--to", "ship"], "FILE_EXISTS");
  await refused(["keys", "create", path("hub.key")], "FILE_EXISTS");
  await refused(["sync", "--link", "hub/ship"], "LINK_ON_FILES");
  // a stranger's key in the place of the ship's
  const trusted = readFileSync(path("ship.key.pub"));
  writeFileSync(path("ship.key.pub"), readFileSync(path("hub.key.pub")));
  await at("ship", "export", path("5.medium"), "--from", "ship", "--to", "hub");
  await refused(["import", path("5.medium")], "MEDIUM_SIGNATURE");
  writeFileSync(path("ship.key.pub"), trusted);
  expect((await at("hub", "import", path("5.medium"))).code).toBe(0);
  expect(existsSync(path("x.medium.part"))).toBe(false);
});

test("sync and run leave the link alone", { timeout: 60_000 }, async () => {
  const synced = await at("hub", "sync");
  expect([synced.code, synced.stdout]).toEqual([0, ""]);
});
