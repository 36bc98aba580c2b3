import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";

const EXAMPLE = fileURLToPath(new URL("../../config/examples/shop-app.js", import.meta.url));
const DDL = "create table orders (id bigint primary key, region text, note text)";

let folder: string;
let database: FreshDatabase;
let hub: Client;
let url: string;
let served: Started;
const agents: Started[] = [];
const open: Database.Database[] = [];

const command = (...args: string[]) => tombolo(["-c", join(folder, "topology.yaml"), ...args]);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tombolo-edge-"));
  database = await freshDatabase({});
  hub = new Client({ connectionString: database.url });
  hub.on("error", () => undefined);
  await hub.connect();
  await hub.query(`${DDL}; insert into orders values (1, 'north', 'a'), (2, 'south', 'b')`);
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  writeFileSync(
    join(folder, "topology.yaml"),
    [
      "version: 1",
      "name: shops",
      "nodes:",
      `  - { name: hub, type: postgres, url: "${database.url}" }`,
      "channels:",
      '  - { name: sales, tables: [ { name: public.orders, conflict: parent_wins, filter: "region = :region" } ] }',
      "links: []",
      "groups:",
      "  - { name: stores, parent: hub, params: [region], channels: [ { name: sales, direction: both } ] }",
      `hub: { listen: "127.0.0.1:${port}" }`,
      "medium: { key: ./hub.key, trust: { five: ./shop.key.pub, app: ./shop.key.pub } }",
      "",
    ].join("\n"),
  );
  const applied = await command("apply", "--yes");
  if (applied.code !== 0) throw new Error(applied.stdout + applied.stderr);
  served = start(["-c", join(folder, "topology.yaml"), "serve", "--log-format", "json"]);
  await until("the hub answers", async () => (await fetch(`${url}/v1/ping`)).ok);
});

afterAll(async () => {
  for (const each of [...agents, served]) if (each?.process.exitCode === null) await each.stop("SIGKILL");
  for (const each of open) each.close();
  await hub?.end();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function code(node: string, region: string): Promise<string> {
  const made = await command(
    "tokens",
    "create",
    "--role",
    "node",
    "--group",
    "stores",
    "--node",
    node,
    "--param",
    `region=${region}`,
    "--json",
  );
  return JSON.parse(made.stdout).secret as string;
}

function store(name: string): { path: string; db: Database.Database; notes(): string } {
  const path = join(folder, `${name}.db`);
  const db = new Database(path, { timeout: 5_000 });
  db.exec(`pragma journal_mode = wal; ${DDL.replace("bigint", "integer")}`);
  open.push(db);
  const notes = (): string =>
    db.prepare("select group_concat(id || note, ' ') from (select * from orders order by id)").pluck().get() as string;
  return { path, db, notes };
}

const hubNotes = async (): Promise<string> =>
  (await hub.query("select string_agg(id || note, ' ' order by id) as notes from orders")).rows[0].notes;

test("an edge enrols with its code, is filled with its own rows, and exchanges with one command", async () => {
  const { path, db, notes } = store("one");
  const enrolled = await tombolo(["sync", "--database", path]);
  expect([enrolled.code, enrolled.stderr]).toEqual([2, expect.stringContaining("EDGE_NOT_ENROLLED")]);
  const agent = start(["edge", "--database", path, "--hub", url, "--code", await code("one", "north"), "--log-format", "json"]);
  agents.push(agent);
  await until("the edge is filled", () => notes() === "1a");
  expect(statSync(`${path}-tombolo-edge.json`).mode & 0o777).toBe(0o600);
  const { token } = JSON.parse(readFileSync(`${path}-tombolo-edge.json`, "utf8"));
  expect(agent.stderr()).not.toContain(token);
  // what either writes is at the other soon
  db.exec("insert into orders values (10, 'north', 'mine')");
  await until("the hub has it", async () => (await hubNotes()) === "1a 2b 10mine");
  await hub.query("insert into orders values (3, 'north', 'c'), (4, 'south', 'd')");
  await until("the edge has its own", () => notes() === "1a 3c 10mine");
  // what was applied is acknowledged with the next exchange
  const status = async () => JSON.parse((await tombolo(["--json", "status", "--database", path])).stdout);
  await until("both are acknowledged", async () => {
    const { pending_up, pending_down } = await status();
    return pending_up === 0 && pending_down === 0;
  });
  expect((await agent.stop()).code).toBe(0);

  db.exec("insert into orders values (11, 'north', 'offline'); update orders set note = 'edge' where id = 1");
  await hub.query("update orders set note = 'hub' where id = 1; insert into orders values (5, 'north', 'e')");
  expect(await status()).toMatchObject({ node: "one", state: "online", pending_up: 2, pending_down: 2, conflicts_open: 0 });
  const synced = await tombolo(["sync", "--database", path]);
  expect([synced.code, synced.stdout]).toEqual([0, "one: 2 sent, 2 received, 1 conflict resolved\n"]);
  expect(notes()).toBe("1hub 3c 5e 10mine 11offline");
  expect(JSON.parse((await tombolo(["--json", "sync", "--database", path])).stdout)).toEqual({
    links: [{ parent: "hub", child: "one", sent: 0, received: 0, conflicts: 0, parked: 0, conflicts_open: 0, error: null }],
  });
  expect((await tombolo(["uninstall", "--database", path])).code).toBe(2);
  expect((await tombolo(["uninstall", "--database", path, "--yes"])).code).toBe(0);
  expect(db.prepare("select count(*) from sqlite_schema where name like 'tombolo%'").pluck().get()).toBe(0);
  expect(notes()).toBe("1hub 3c 5e 10mine 11offline");
});

test("to be offline is a normal state: the agent waits, and goes on when the hub is back", async () => {
  const { path, db, notes } = store("two");
  agents.push(start(["edge", "--database", path, "--hub", url, "--code", await code("two", "south"), "--log-format", "json"]));
  await until("the edge is filled", () => notes() === "2b 4d");
  await until("the edge is at rest", () => agents.at(-1)?.stderr().includes('"state":"online"') ?? false);
  await served.stop();
  db.exec("insert into orders values (20, 'south', 'while away')");
  await until("the edge knows", () => agents.at(-1)?.stderr().includes('"state":"offline"') ?? false);
  const away = await tombolo(["sync", "--database", path]);
  expect([away.code, away.stderr]).toEqual([4, expect.stringContaining("HUB_UNREACHABLE")]);
  expect((await tombolo(["status", "--database", path])).stdout).toContain("1 to send, unknown to receive");
  served = start(["-c", join(folder, "topology.yaml"), "serve", "--log-format", "json"]);
  await until("the hub has it", async () => (await hubNotes()).includes("20while away"), 60_000);
});

test("an agent that is killed at any moment loses nothing and sends nothing twice", async () => {
  const { path, db } = store("three");
  const enrolling = start(["edge", "--database", path, "--hub", url, "--code", await code("three", "west"), "--log-format", "json"]);
  agents.push(enrolling);
  await until("the edge is online", () => enrolling.stderr().includes('"state":"online"'));
  const insert = db.prepare("insert into orders values (?, 'west', ?)");
  let next = 1000;
  const write = (): void => {
    for (let at = 0; at < 50; at++) insert.run(next++, "w");
  };
  let agent = enrolling;
  for (let kill = 0; kill < 6; kill++) {
    write();
    await hub.query("insert into orders select 100000 + $1::int * 100 + i, 'west', 'h' from generate_series(1, 50) i", [kill]);
    const before = (await hub.query("select count(*)::int as n from orders where region = 'west'")).rows[0].n;
    // sometimes in the middle of an exchange, sometimes after it
    if (kill % 2 === 0)
      await until(
        "something arrived",
        async () => (await hub.query("select count(*)::int as n from orders where region = 'west'")).rows[0].n > before,
      );
    await agent.stop("SIGKILL");
    agent = start(["edge", "--database", path, "--log-format", "json"]);
    agents.push(agent);
  }
  const select = "select id, note from orders where region = 'west' order by id";
  await until("both have the same", async () => {
    const there = (await hub.query({ text: select, rowMode: "array" })).rows.map(([id, note]) => `${id}${note}`);
    const here = db
      .prepare(select)
      .raw()
      .all()
      .map((row) => (row as [number, string]).join(""));
    return there.length === 600 && there.join() === here.join();
  });
  await agent.stop();
});

test("the example of an application: it enrols by the library, writes, and is in step", async () => {
  const path = join(folder, "app.db");
  const app = spawn(process.execPath, [EXAMPLE, path, url, await code("app", "north")], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  app.stdout.on("data", (text) => (said += text));
  app.stderr.on("data", (text) => (said += text));
  try {
    await until("the hub has its row", async () => (await hubNotes()).includes("written by the application"));
    await until("it told", () => /\d+ sent, \d+ received/.test(said) && said.includes("(online)"));
  } finally {
    app.kill();
  }
  const [exit] = await once(app, "close");
  expect([exit, said]).toEqual([0, expect.not.stringContaining("Error")]);
});

test("an edge becomes a copy of its hub again: asked by its hub while its agent runs, or by itself", async () => {
  const { path, db, notes } = store("four");
  const agent = start(["edge", "--database", path, "--hub", url, "--code", await code("four", "east"), "--interval", "1s"]);
  agents.push(agent);
  await hub.query("insert into orders values (300, 'east', 'a'), (301, 'east', 'b')");
  await until("the edge is filled", () => notes() === "300a 301b");
  db.exec("update tombolo_local set skip = 1; delete from orders where id = 300; update tombolo_local set skip = 0");
  const asked = await command("full-sync", "four", "--yes");
  expect([asked.code, asked.stdout]).toEqual([0, expect.stringMatching(/^four: 2 rows copied/)]);
  expect(notes()).toBe("300a 301b");
  await agent.stop();
  db.exec("update tombolo_local set skip = 1; insert into orders values (302, 'east', 'only here'); update tombolo_local set skip = 0");
  const own = await tombolo(["full-sync", "--database", path, "--yes", "--no-backup"]);
  expect([own.code, own.stdout]).toEqual([0, expect.stringMatching(/0 added, 0 changed, 1 removed\n$/)]);
  expect(notes()).toBe("300a 301b");
  expect((await command("full-sync", "nobody", "--yes")).stderr).toContain("NODE_UNKNOWN");
});

test("a hub takes over what an edge has: asked by its operator, while the agent runs; an edge that was emptied does not empty it", async () => {
  const { path, db, notes } = store("seven");
  const agent = start(["edge", "--database", path, "--hub", url, "--code", await code("seven", "plains"), "--interval", "1s"]);
  agents.push(agent);
  await hub.query("insert into orders select i, 'plains', 'w' || i from generate_series(500, 530) as i");
  await until("the edge is filled", () => notes().includes("530w530"));
  db.exec(
    "update tombolo_local set skip = 1; update orders set note = 'true' where id = 500; delete from orders where id > 515; update tombolo_local set skip = 0",
  );
  const refused = await command("full-sync", "seven", "--direction", "push", "--yes");
  expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining("FULL_SYNC_DELETES")]);
  const asked = await command("full-sync", "seven", "--direction", "push", "--max-deletes", "15", "--yes");
  expect([asked.code, asked.stdout]).toEqual([0, expect.stringMatching(/^seven: 16 rows copied/)]);
  const { rows } = await hub.query(
    "select count(*)::int as there, min(note) filter (where id = 500) as note from orders where region = 'plains'",
  );
  expect(rows).toEqual([{ there: 16, note: "true" }]);
  const own = await tombolo(["full-sync", "--database", path, "--direction", "push", "--yes"]);
  expect([own.code, own.stderr]).toEqual([1, expect.stringContaining("FULL_SYNC_NOT_ASKED")]);
  await agent.stop();
});

test("changes of an edge go on files as well: by the command, by the library, and over HTTP again", { timeout: 120_000 }, async () => {
  const at = (name: string): string => join(folder, name);
  for (const name of ["hub", "shop"]) expect((await tombolo(["keys", "create", at(`${name}.key`)])).code).toBe(0);
  const { path, db, notes } = store("five");
  const medium = async (...args: string[]) => {
    const told = await tombolo(args.includes("--database") ? args : ["-c", at("topology.yaml"), ...args]);
    expect(told.code, told.stderr).toBe(0);
    return told.stdout;
  };
  // an edge has to have been in touch once
  // the application was killed, perhaps in the middle of an exchange
  await medium("sync", "--database", at("app.db"));
  const agent = start(["edge", "--database", path, "--hub", url, "--code", await code("five", "islands"), "--log-format", "json"]);
  await until("the edge is online", () => agent.stderr().includes('"state":"online"'));
  await agent.stop();
  db.exec("insert into orders values (40, 'islands', 'edge')");
  await hub.query("insert into orders values (41, 'islands', 'hub')");
  await served.stop();
  const sent = await medium("export", at("out.medium"), "--database", path, "--key", at("shop.key"));
  expect(sent).toBe(`${at("out.medium")}: medium 1 from five to hub, 1 change\n`);
  expect(await medium("import", at("out.medium"))).toContain("from five to hub: 1 change, 0 conflicts resolved");
  await medium("export", at("back.medium"), "--from", "hub", "--to", "five");
  expect(await medium("import", at("back.medium"), "--database", path, "--trust", at("hub.key.pub"))).toContain(
    "from hub to five: 1 change,",
  );
  expect(notes()).toBe("40edge 41hub");
  expect(await hubNotes()).toContain("40edge 41hub");

  // by the library, in the example of an application, which enrolled before
  const app = new Database(at("app.db"));
  open.push(app);
  app.exec("insert into orders values (50, 'north', 'by the library')");
  const run = async (...args: string[]): Promise<string> => {
    const child = spawn(process.execPath, [EXAMPLE, at("app.db"), ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    expect((await once(child, "close"))[0]).toBe(0);
    return Buffer.concat(chunks).toString();
  };
  expect(await run("export", at("app.medium"))).toMatch(/^[1-9] changes written/);
  await medium("import", at("app.medium"));
  await hub.query("update orders set note = 'seen' where id = 50");
  await medium("export", at("app-back.medium"), "--from", "hub", "--to", "app");
  expect(await run("import", at("app-back.medium"))).toMatch(/^\d+ changes taken/);
  // of a change to its own row the edge asks for the whole row, and that takes another round
  await run("export", at("app-2.medium"));
  await medium("import", at("app-2.medium"));
  await medium("export", at("app-back-2.medium"), "--from", "hub", "--to", "app");
  await run("import", at("app-back-2.medium"));
  expect(app.prepare("select note from orders where id = 50").pluck().get()).toBe("seen");

  // nothing of it moves again
  served = start(["-c", at("topology.yaml"), "serve", "--log-format", "json"]);
  await until("the hub answers", async () => (await fetch(`${url}/v1/ping`)).ok);
  expect(await medium("sync", "--database", path)).toBe("five: 0 sent, 0 received, 0 conflicts resolved\n");
  // an edge that was revoked has no files either
  expect((await command("tokens", "revoke", "--node", "five")).code).toBe(0);
  await medium("export", at("late.medium"), "--database", path, "--key", at("shop.key"));
  expect(await command("import", at("late.medium"))).toMatchObject({ code: 2, stderr: expect.stringContaining("NODE_UNKNOWN") });
});

test("an edge is compared with its hub: asked by its hub while its agent runs, or by itself; differences end with 3", async () => {
  const { path, db, notes } = store("six");
  const agent = start(["edge", "--database", path, "--hub", url, "--code", await code("six", "centre"), "--interval", "1s"]);
  agents.push(agent);
  await hub.query("insert into orders values (400, 'centre', 'a'), (401, 'centre', 'b')");
  await until("the edge is filled", () => notes() === "400a 401b");
  const drift = (): unknown =>
    db.exec("update tombolo_local set skip = 1; update orders set note = 'drifted' where id = 400; update tombolo_local set skip = 0");
  drift();
  const asked = await command("reconcile", "--link", "hub/six");
  expect([asked.code, asked.stdout]).toEqual([3, "public.orders: 2 compared, 1 differ, 0 repaired\n"]);
  const repaired = await command("reconcile", "--link", "hub/six", "--repair", "parent");
  expect([repaired.code, repaired.stdout]).toEqual([0, "public.orders: 2 compared, 1 differ, 1 repaired\n"]);
  expect(notes()).toBe("400a 401b");
  await agent.stop();
  drift();
  expect((await tombolo(["reconcile", "--database", path])).code).toBe(3);
  const own = await tombolo(["reconcile", "--database", path, "--repair", "parent", "--json"]);
  expect([own.code, JSON.parse(own.stdout).links[0]]).toMatchObject([0, { parent: "hub", child: "six", outcome: "repaired" }]);
  expect((await tombolo(["reconcile", "--database", path])).code).toBe(0);
  expect((await command("reconcile", "--link", "hub/nobody")).stderr).toContain("LINK_UNKNOWN");
  const waits = await command("reconcile", "--link", "hub/six", "--no-wait");
  expect([waits.code, waits.stdout]).toEqual([0, "six: requested\n"]);
  expect((await command("full-sync", "six", "--no-wait", "--yes")).code).toBe(0);
  const remarks = () => command("status").then(({ stdout }) => stdout.split("\n").filter((line) => line.startsWith("hub/six:")));
  expect(await remarks()).toEqual([
    expect.stringContaining("a full sync (pull) is asked of it since"),
    expect.stringContaining("take it back with `tombolo reconcile --link hub/six --cancel`"),
  ]);
  expect((await command("reconcile", "--link", "hub/six", "--cancel")).stdout).toMatch(/^six: cancelled: manual, requested since .*\n$/);
  expect((await command("full-sync", "six", "--cancel")).stdout).toMatch(/^six: cancelled: requested since .*\n$/);
  expect(await remarks()).toEqual([]);
  expect((await command("reconcile", "--link", "hub/six", "--cancel")).stdout).toBe("six: nothing is asked of it\n");
}, 60_000);
