import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { HubClient } from "../../replicator/edge/hub-client.ts";
import { SyncService, type SyncServiceEvents } from "../../replicator/edge/sync-service.ts";
import { issue } from "../../replicator/hub/issue.ts";
import { until } from "../helpers/command.ts";
import { type EdgeWorld, edgeWorld } from "../helpers/edge-world.ts";
import { openHub, type TestHub } from "../helpers/hub.ts";
import { both } from "../helpers/pair.ts";

const DDL = "create table item (id bigint primary key, note text); create table task (id bigint primary key, title text)";
const TABLES = [{ name: "item" }, { name: "task", policy: "manual" as const }];

let folder: string;
let world: EdgeWorld;
let hub: TestHub;
let path: string;
let application: Database.Database;
const services: SyncService[] = [];

describe.each(["postgres", "sqlite"] as const)("with a %s hub, the service of an application", (engine) => {
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "tombolo-service-"));
    world = await edgeWorld({ engine, schema: both(DDL), tables: TABLES });
    hub = await openHub({ topology: world.topology, nodes: [world.database.node], authenticate: "tokens" });
    path = join(folder, "shop.db");
    application = new Database(path);
    application.pragma("journal_mode = wal");
    application.exec(DDL.replaceAll("bigint", "integer"));
  });
  afterEach(async () => {
    for (const each of services.splice(0)) await each.close();
    application.close();
    await hub.close();
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const code = async (lifetimeMs: number | null = null): Promise<string> => {
    const wanted = {
      role: "node" as const,
      name: null,
      node: "shop",
      group: "edges",
      params: {},
      lifetimeMs,
      codeLifetimeMs: 60_000,
    };
    return (await issue(world.database.node.tokens, world.topology, wanted, "test")).secret;
  };
  const opened = async (more: object = {}): Promise<SyncService> => {
    const service = await SyncService.open({ database: application, ...more });
    services.push(service);
    return service;
  };
  const told = (service: SyncService): { [event in keyof SyncServiceEvents]: SyncServiceEvents[event][] } => {
    const events = { status: [], progress: [], completed: [], conflict: [], failed: [] } as never as ReturnType<typeof told>;
    for (const event of Object.keys(events) as (keyof SyncServiceEvents)[]) {
      service.on(event, (...args: unknown[]) => void (events[event] as unknown[]).push(args));
    }
    return events;
  };
  const tokens = async () =>
    (await world.database.node.tokens.list({ limit: 100, node: nodeName("shop") })).filter(({ kind }) => kind === "token");
  const notes = (): unknown =>
    application.prepare("select group_concat(id || note, ' ') from (select * from item order by id)").pluck().get();

  test("closes while a hub that is written to all the time keeps it syncing", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    let rows = 0;
    let exchanges = 0;
    const more = (): Promise<void> => world.database.write(`insert into item values (${++rows}, 'hub')`);
    await more();
    let writing = Promise.resolve();
    service.on("progress", () => {
      exchanges += 1;
      writing = writing.then(more);
    });
    const syncing = service.syncNow().then(
      () => "done",
      () => "ended",
    );
    await until("it goes on and on", () => exchanges >= 3);
    await service.close();
    expect(await syncing).toBe("ended");
    expect(exchanges).toBeLessThan(100);
    await writing;
  });

  test("syncs to an end, though its hub is written to with each exchange: what was there when it began has moved", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    await service.syncNow();
    application.exec("insert into item values (1000, 'shop')");
    let rows = 0;
    const more = (): Promise<void> => world.database.write(`insert into item values (${++rows}, 'hub')`);
    await more();
    let writing = Promise.resolve();
    service.on("progress", () => {
      writing = writing.then(more);
    });
    expect(await service.syncNow()).toMatchObject({ sent: 1 });
    await writing;
    expect(rows).toBeLessThan(100);
    expect(notes()).toMatch(/^1hub /);
  });

  test("compares what it is asked to, though its hub is written to all the time", { timeout: 60_000 }, async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    await service.syncNow();
    let [rows, over] = [0, false];
    const writer = async (): Promise<void> => {
      for (; !over; await breathe()) await world.database.write(`insert into item values (${++rows}, 'hub')`);
    };
    const writing = Promise.all([writer(), writer()]);
    try {
      service.start();
      await until("it is busy", async () => rows > 50);
      const { reconciles } = world.database.node;
      const run = await reconciles.request({ name: "nightly", peer: nodeName("shop"), repair: "report" });
      await until("it has begun", async () => (await reconciles.find(run))?.state !== "requested", 30_000);
    } finally {
      over = true;
      await writing;
    }
  });

  test.each(["stop", "close"] as const)("%s ends it for good, also while it syncs because it was told to", async (end) => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() }, intervalMs: 1_000 });
    service.start();
    const begun = new Promise<void>((resolve) => service.on("status", (now) => now === "syncing" && resolve()));
    const syncing = service.syncNow().catch(() => undefined);
    await begun;
    const { failed } = told(service);
    await service[end]();
    await syncing;
    const { status } = told(service);
    // one in the background would have asked the hub by then, and told of it
    for (let asked = 0; asked < 20; asked++) await fetch(`${hub.url}/v1/ping`);
    expect({ status, failed }).toEqual({ status: [], failed: [] });
  });

  test("what is started while it syncs because it was told to goes on afterwards", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() }, intervalMs: 1_000 });
    const syncing = service.syncNow();
    service.start();
    await syncing;
    await world.database.write("insert into item values (1, 'hub')");
    await until("it is heard of in the background", () => notes() === "1hub");
  });

  test("syncs when it is told to, and answers what moved", async () => {
    await expect(opened()).rejects.toMatchObject({ code: "EDGE_NOT_ENROLLED" });
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    const events = told(service);
    await world.database.write("insert into item values (1, 'hub')");
    application.exec("insert into item values (2, 'shop')");
    expect(await service.status()).toMatchObject({ node: "shop", hub: hub.url, state: "online", pendingUp: 0, lastReceivedAt: null });
    // the first fill brings all that the hub has by then
    expect(await service.syncNow()).toEqual({ sent: 1, received: 2, conflicts: 0, open: 0, parked: 0 });
    expect(notes()).toBe("1hub 2shop");
    expect(events.status.flat()).toEqual(["syncing", "online"]);
    expect(events.completed).toHaveLength(1);
    application.exec("insert into item values (3, 'waits')");
    expect(await service.status()).toMatchObject({ pendingUp: 1, pendingDown: 0, refused: 0, openConflicts: 0 });
    // the next start needs no code
    await service.close();
    expect(await (await opened()).syncNow()).toMatchObject({ sent: 1, received: 0 });
  });

  test("keeps in step in the background, says how it goes, and stops", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    const events = told(service);
    service.start();
    service.start();
    await until("it is online", () => events.status.flat().includes("online"));
    application.exec("insert into item values (1, 'shop')");
    await until("the hub has it", async () => (await world.database.rows("select note from item")).flat().includes("shop"));
    await world.database.write("insert into item values (2, 'hub')");
    await until("the shop has it", () => notes() === "1shop 2hub");
    expect(events.progress.flat().some(({ received }) => received > 0)).toBe(true);
    // beside it, by hand
    application.exec("insert into item values (3, 'both')");
    await service.syncNow();
    expect((await world.database.rows("select note from item where id = 3")).flat()).toEqual(["both"]);
    await service.stop();
    application.exec("insert into item values (4, 'after')");
    expect(await service.status()).toMatchObject({ pendingUp: 1 });
    expect(events.failed).toEqual([]);
  });

  test("follows its hub with an exchange for each change: what it says of the last one waits for the next", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    const sent = vi.spyOn(HubClient.prototype, "send");
    onTestFinished(() => sent.mockRestore());
    service.start();
    const exchanges = (): number => sent.mock.calls.filter(([{ path }]) => path.endsWith("/exchange")).length;
    await until("it is in touch", () => exchanges() > 1);
    const before = exchanges();
    for (let id = 1; id <= 20; id++) {
      await world.database.write(`insert into item values (${id}, 'hub')`);
      await until("it has the row", () => application.prepare("select count(*) from item").pluck().get() === id);
    }
    // with one in between, twice as many
    expect(exchanges() - before).toBeLessThan(30);
  });

  test("renews a token that ends soon, and goes on with the new one", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    const file = `${path}-tombolo-edge.json`;
    await service.syncNow();
    await service.close();
    const kept = JSON.parse(readFileSync(file, "utf8"));
    expect(kept).toMatchObject({ node: "shop", expiresAt: null });
    expect(kept.fresh).toBeUndefined();
    writeFileSync(file, JSON.stringify({ ...kept, expiresAt: new Date(Date.now() + 86_400_000).toISOString() }));
    const again = await opened();
    again.start();
    await until("the token is another", () => JSON.parse(readFileSync(file, "utf8")).token !== kept.token);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    application.exec("insert into item values (1, 'renewed')");
    await until("the hub has it", async () => (await world.database.rows("select note from item")).flat().includes("renewed"));
  });

  test("a token that never lives for long is renewed once in a while, and not with each exchange", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code(20 * 86_400_000) } });
    service.start();
    await until("it is renewed", async () => (await tokens()).length > 1);
    for (let count = 1; count <= 3; count++) {
      application.exec(`insert into item values (${count}, 'exchange')`);
      await until("an exchange", async () => (await world.database.rows("select id from item")).length === count);
    }
    expect(await tokens()).toHaveLength(2);
  });

  test.each([
    { years: 10, days: 60, needed: 1 },
    { years: -10, days: 20, needed: 2 },
  ])("with a clock that is $years years off: a token for $days days ends when the hub's clock says so", async ({ years, days, needed }) => {
    const clock = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => clock() + years * 365 * 86_400_000);
    onTestFinished(() => void vi.restoreAllMocks());
    const service = await opened({ enrol: { hub: hub.url, code: await code(days * 86_400_000) } });
    service.start();
    await until("it has as many as it needs", async () => (await tokens()).length >= needed);
    for (let count = 1; count <= 3; count++) {
      // it hears of this one while it waits, before which it has looked at its token
      await world.database.write(`insert into item values (${count}, 'hub')`);
      await until("it has the row", () => application.prepare("select count(*) from item").pluck().get() === count);
    }
    expect(await tokens()).toHaveLength(needed);
  });

  test("offline it fails, says so, and loses nothing", async () => {
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    await service.syncNow();
    const events = told(service);
    await hub.close();
    application.exec("insert into item values (1, 'offline')");
    await expect(service.syncNow()).rejects.toMatchObject({ code: "HUB_UNREACHABLE", kind: "connect" });
    expect(await service.status()).toMatchObject({ state: "offline", pendingUp: 1, pendingDown: null });
    expect([events.status.flat().at(-1), events.failed.length]).toEqual(["offline", 1]);
    const { port } = new URL(hub.url);
    hub = await openHub({ topology: world.topology, nodes: [world.database.node], authenticate: "tokens", port: Number(port) });
    expect(await service.syncNow()).toMatchObject({ sent: 1 });
  });

  test("a conflict that waits for a person is told, shown, and decided from here", async () => {
    await world.database.write("insert into task values (1, 'first')");
    const service = await opened({ enrol: { hub: hub.url, code: await code() } });
    await service.syncNow();
    const events = told(service);
    await world.database.write("update task set title = 'hub' where id = 1");
    application.exec("update task set title = 'shop' where id = 1");
    expect(await service.syncNow()).toMatchObject({ conflicts: 1, open: 1 });
    expect(events.conflict).toEqual([[{ count: 1, open: 1 }]]);
    const [conflict, ...more] = await service.conflicts({ open: true });
    expect(more).toEqual([]);
    expect(conflict).toMatchObject({ table: "task", kind: "update_update", status: "open", resolution: "open" });
    expect(JSON.stringify([conflict?.parentRow, conflict?.childRow])).toMatch(/hub.*shop/);
    expect(await service.resolve(conflict?.id ?? "", { take: "child" })).toMatchObject({ status: "resolved", resolution: "child" });
    expect(await service.conflicts({ open: true })).toEqual([]);
    await service.syncNow();
    expect(application.prepare("select title from task").pluck().get()).toBe("shop");
    expect((await world.database.rows("select title from task")).flat()).toEqual(["shop"]);
    await expect(service.resolve("999999", { take: "child" })).rejects.toMatchObject({ code: "CONFLICT_UNKNOWN" });
  });
});
