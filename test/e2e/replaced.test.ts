import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { ask } from "../helpers/hub.ts";
import { copyOf, putInPlace } from "../helpers/put-in-place.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const close: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of close.splice(0).reverse()) await each();
});

/** A store whose file has a row of each side, and a process that replicates it. */
async function running(): Promise<{ shop: Shop; path: string; run: Started }> {
  const shop = await openShop();
  close.push(() => shop.close());
  const path = join(shop.folder, "store-1.db");
  const applied = await tombolo(["-c", shop.file, "apply", "--yes"], shop.env);
  expect(applied.code, applied.stderr).toBe(0);
  const run = start(["-c", shop.file, "run", "--log-format", "json"], shop.env);
  close.push(() => run.stop("SIGKILL"));
  await shop.hub.query("insert into shop.orders values (1, 'hub', 0)");
  shop.store("store-1").exec("insert into orders values (2, 'store', 0)");
  await until("both have both", async () => (await shop.hubRows()) === "1:hub 2:store" && shop.storeRows("store-1") === "1:hub 2:store");
  return { shop, path, run };
}

const reopened = (path: string): Database.Database => {
  const file = new Database(path);
  close.push(() => file.close());
  return file;
};
/** What it knows of its neighbour has come to rest: a copy has all of it. */
async function rests(file: Database.Database): Promise<void> {
  const known = file.prepare<[], string>("select sent || received || sent_packet_no || received_packet_no from tombolo_peer").pluck();
  let [last, since] = ["", Date.now()];
  await until("it rests", async () => {
    const now = String(known.get());
    if (now !== last) [last, since] = [now, Date.now()];
    return Date.now() - since > 1_500;
  });
}

const rowsOf = (file: Database.Database): string =>
  file.prepare<[], string>("select id || ':' || note from orders order by id").pluck().all().join(" ");

test("a store's file in the place of which a copy of it is put while it is replicated is opened by itself, and goes on", async () => {
  const { shop, path, run } = await running();
  await rests(shop.store("store-1"));
  putInPlace(path, await copyOf(path, `${path}.copy`));
  const file = reopened(path);
  file.exec("insert into orders values (3, 'into the new one', 0)");
  await shop.hub.query("insert into shop.orders values (4, 'hub, later', 0)");
  await until(
    "both have all",
    async () => rowsOf(file) === (await shop.hubRows()) && rowsOf(file).endsWith("3:into the new one 4:hub, later"),
    30_000,
  );
  expect(run.stderr()).toContain("DATABASE_REPLACED");
});

test("an older file in that place is found out", async () => {
  const { shop, path, run } = await running();
  const old = await copyOf(path, `${path}.old`);
  await shop.hub.query("insert into shop.orders values (3, 'hub, since', 0)");
  shop.store("store-1").exec("insert into orders values (4, 'store, since', 0)");
  await until(
    "both have all",
    async () => (await shop.hubRows()).endsWith("4:store, since") && shop.storeRows("store-1").includes("3:hub, since"),
  );
  putInPlace(path, old);
  await until("it is told", async () => run.stderr().includes("NODE_REWOUND"), 30_000);
  const resynced = await tombolo(["-c", shop.file, "nodes", "resync", "store-1", "--yes"], shop.env);
  expect(resynced.code, resynced.stderr).toBe(0);
  const file = reopened(path);
  await until("both have all", async () => rowsOf(file) === (await shop.hubRows()), 30_000);
});

/** A hub and a store in files; `hub` and `store` are the application's. */
async function files(): Promise<{ file: string; hubPath: string; hubUrl: string; hub: Database.Database; store: Database.Database }> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-replaced-"));
  close.push(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const file = join(folder, "topology.yaml");
  const [hubPath, storePath] = ["hub", "store"].map((name) => join(folder, `${name}.db`)) as [string, string];
  const [hub, store] = [hubPath, storePath].map(reopened) as [Database.Database, Database.Database];
  for (const each of [hub, store]) each.exec("pragma journal_mode = wal; create table orders (id integer primary key, note text)");
  writeFileSync(
    file,
    `version: 1
name: files
nodes: [ { name: hub, type: sqlite, path: "${hubPath}" }, { name: store, type: sqlite, path: "${storePath}" } ]
channels: [ { name: all, tables: [ { name: orders } ] } ]
links: [ { parent: hub, child: store, channels: [ { name: all, direction: both } ] } ]
hub: { listen: "127.0.0.1:${port}" }
metrics: off
`,
  );
  expect((await tombolo(["-c", file, "apply", "--yes"])).code).toBe(0);
  return { file, hubPath, hubUrl: `http://127.0.0.1:${port}`, hub, store };
}

test("a hub's file in the place of which a copy of it is put is opened by itself, and goes on", async () => {
  const { file, hubPath, hub, store } = await files();
  const run = start(["-c", file, "run", "--log-format", "json"]);
  close.push(() => run.stop("SIGKILL"));
  hub.exec("insert into orders values (1, 'hub')");
  store.exec("insert into orders values (2, 'store')");
  await until("both have both", async () => rowsOf(hub) === "1:hub 2:store" && rowsOf(store) === rowsOf(hub));
  await rests(hub);
  putInPlace(hubPath, await copyOf(hubPath, `${hubPath}.copy`));
  const after = reopened(hubPath);
  after.exec("insert into orders values (3, 'into the new one')");
  store.exec("insert into orders values (4, 'store, later')");
  await until(
    "both have all",
    async () => rowsOf(after).endsWith("3:into the new one 4:store, later") && rowsOf(store) === rowsOf(after),
    30_000,
  );
  expect(run.process.exitCode).toBe(null);
});

test("a hub's file that is replaced while it is served alone is opened by itself", async () => {
  const { file, hubPath, hubUrl } = await files();
  const made = await tombolo(["-c", file, "tokens", "create", "--role", "admin", "--name", "ann"]);
  const token = made.stdout.trim();
  const serving = start(["-c", file, "serve", "--log-format", "json"]);
  close.push(() => serving.stop("SIGKILL"));
  await until("it is served", async () => (await fetch(`${hubUrl}/v1/ping`)).ok);
  const make = (name: string) => ask({ url: hubUrl }, "POST", "/v1/tokens", { token, body: { role: "viewer", name } });
  expect(await make("before")).toMatchObject({ status: 201 });
  putInPlace(hubPath, await copyOf(hubPath, `${hubPath}.copy`));
  expect(await make("after")).toMatchObject({ status: 201 });
  expect(reopened(hubPath).prepare("select name from tombolo_token where name in ('before', 'after') order by id").pluck().all()).toEqual([
    "before",
    "after",
  ]);
});
