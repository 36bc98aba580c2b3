import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const opened: Shop[] = [];
const started: Started[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) if (each.process.exitCode === null && each.process.signalCode === null) await each.stop("SIGKILL");
  for (const shop of opened.splice(0)) await shop.close();
});

async function appliedShop(options: Parameters<typeof openShop>[0] = {}): Promise<Shop> {
  const shop = await openShop(options);
  opened.push(shop);
  const applied = await tombolo(["-c", shop.file, "apply", "--yes"], shop.env);
  expect(applied.code, applied.stdout + applied.stderr).toBe(options.missing === undefined ? 0 : 4);
  return shop;
}

function run(shop: Shop, env = shop.env): Started {
  const replicator = start(["-c", shop.file, "run", "--log-format", "json"], env);
  started.push(replicator);
  return replicator;
}

const ready = (url: string) => until("ready", async () => (await fetch(`${url}/readyz`)).status === 200);

/** Writes on both sides, and waits until both have it all. */
async function writeBothWays(shop: Shop, id: number): Promise<void> {
  await shop.hub.query("insert into shop.orders values ($1, 'from the hub')", [id]);
  shop
    .store("store-1")
    .prepare("insert into orders values (?, 'from the store', 1)")
    .run(id + 1);
  await until(`rows ${id} and ${id + 1} on both sides`, async () => {
    const rows = await shop.hubRows();
    return rows.includes(`${id}:from the hub ${id + 1}:from the store`) && rows === shop.storeRows("store-1");
  });
}

describe("run", () => {
  test("replicates both ways, tells how far it is, and ends with 0 after SIGTERM", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    const replicator = run(shop);
    await ready(shop.url);
    await writeBothWays(shop, 1);
    const metrics = async () => (await fetch(`${shop.url}/metrics`)).text();
    await until("lag 0 both ways", async () => {
      const page = await metrics();
      return ["hub", "store-1"].every((source) => new RegExp(`replication_lag_seconds\\{source="${source}",[^}]*\\} 0$`, "m").test(page));
    });
    const page = await metrics();
    expect(page).toContain('tombolo_changes_applied_total{source="store-1",target="hub",op="insert"} 1');
    expect(page).toContain('tombolo_node_status{node="hub",status="live"} 1');
    expect(page).toContain("tombolo_leader 1");
    expect(await (await fetch(`${shop.url}/status`)).json()).toMatchObject({ topology: "shop", links: [{ child: "store-1" }] });
    const ended = await replicator.stop("SIGTERM");
    expect([ended.code, ended.stdout]).toEqual([0, ""]);
  });

  test("a second one says who replicates and waits; after kill -9 of the first it goes on", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    const first = run(shop);
    await ready(shop.url);
    const port = await freePort();
    const second = run(shop, { ...shop.env, METRICS_PORT: String(port) });
    await until("the second one waits", () => second.stderr().includes("LEASE_HELD"));
    expect(second.stderr()).toContain(`, pid ${first.process.pid}`);
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(503);
    await writeBothWays(shop, 1);
    await first.stop("SIGKILL");
    await ready(`http://127.0.0.1:${port}`);
    await writeBothWays(shop, 3);
    expect((await second.stop("SIGTERM")).code).toBe(0);
  });

  test("others on the very same file wait too; one that waits ends at SIGTERM, another takes over and then serves the metrics", {
    timeout: 60_000,
  }, async () => {
    const shop = await appliedShop();
    const first = run(shop);
    await ready(shop.url);
    const second = run(shop);
    const third = run(shop);
    for (const waiting of [second, third]) await until("it waits", () => waiting.stderr().includes("LEASE_HELD"));
    expect((await third.stop("SIGTERM")).code).toBe(0);
    await writeBothWays(shop, 1);
    expect((await first.stop("SIGTERM")).code).toBe(0);
    await ready(shop.url);
    await writeBothWays(shop, 3);
    expect((await second.stop("SIGTERM")).code).toBe(0);
  });

  test("an address that something else uses is an error of the configuration", { timeout: 60_000 }, async () => {
    const shop = await openShop();
    opened.push(shop);
    const other = createServer().listen(Number(new URL(shop.url).port), "127.0.0.1");
    try {
      const { code, stderr } = await run(shop).finished;
      expect([code, stderr]).toEqual([2, expect.stringContaining("HTTP_LISTEN")]);
    } finally {
      other.close();
    }
  });

  test("a database that is away stops its own link only, is named by /readyz, and joins when it is there", {
    timeout: 60_000,
  }, async () => {
    const shop = await openShop({ stores: ["store-1", "store-2"], missing: ["store-2"] });
    opened.push(shop);
    const partly = await tombolo(["-c", shop.file, "apply", "--yes", "--node", "hub", "store-1"], shop.env);
    expect(partly.code, partly.stdout + partly.stderr).toBe(0);
    run(shop);
    await writeBothWays(shop, 1);
    const waiting = await fetch(`${shop.url}/readyz`);
    expect([waiting.status, await waiting.text()]).toEqual([503, expect.stringContaining("store-2")]);
    shop.store("store-2");
    expect((await tombolo(["-c", shop.file, "apply", "--yes"], shop.env)).code).toBe(0);
    await until("store-2 has everything", async () => shop.storeRows("store-2") === (await shop.hubRows()));
    await ready(shop.url);
  });

  test("a first SIGTERM waits for the batch in hand, a second one does not", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    const replicator = run(shop);
    await writeBothWays(shop, 1);
    await shop.hub.query("begin; lock table shop.orders in access exclusive mode");
    shop.store("store-1").exec("insert into orders values (50, 'waits for the lock', 1)");
    await until("the batch waits for the lock", async () => {
      const { rows } = await shop.hub.query("select 1 from pg_locks where relation = 'shop.orders'::regclass and not granted");
      return rows.length > 0;
    });
    replicator.process.kill("SIGTERM");
    await until("it drains", () => replicator.stderr().includes("stopping after the batches in hand"));
    expect(replicator.process.exitCode).toBeNull();
    expect((await replicator.stop("SIGTERM")).code).toBe(1);
    await shop.hub.query("rollback");
    run(shop);
    await until("what was in hand arrives once", async () => (await shop.hubRows()).endsWith("50:waits for the lock"));
  });

  test("a change that the hub refuses is parked, counted and named, and no row value gets into the log", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    await shop.hub.query("alter table shop.orders add check (qty < 1000)");
    const replicator = start(["-c", shop.file, "run", "--log-format", "json", "--log-level", "trace"], shop.env);
    started.push(replicator);
    await writeBothWays(shop, 1);
    shop.store("store-1").exec("insert into orders values (70, 'canary-4711', 4711); insert into orders values (71, 'fits', 1)");
    await until("the change that fits arrives", async () => (await shop.hubRows()).includes("71:fits"));
    await until("the gauge shows the parked one", async () =>
      (await (await fetch(`${shop.url}/metrics`)).text()).includes('tombolo_parked_changes{node="hub"} 1'),
    );
    const status = JSON.parse((await tombolo(["-c", shop.file, "status", "--json"], shop.env)).stdout);
    expect(status.links[0].parked_changes).toBe(1);
    const { stderr } = await replicator.stop("SIGTERM");
    expect(stderr).toContain("CHANGE_PARKED");
    expect(stderr).not.toContain("4711");
    expect(stderr).not.toContain(new URL(shop.database.url).password);
  });

  test("SIGHUP takes a good file over and keeps the old one when the new one is bad", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    const good = readFileSync(shop.file, "utf8");
    const replicator = run(shop);
    await ready(shop.url);
    appendFileSync(shop.file, "surprise: 1\n");
    replicator.process.kill("SIGHUP");
    await until("the bad file is refused", () => replicator.stderr().includes("RELOAD_REFUSED"));
    await writeBothWays(shop, 1);
    const port = await freePort();
    writeFileSync(shop.file, good.replace("${METRICS_PORT}", String(port)).replace("max: 1s", "max: 2s"));
    replicator.process.kill("SIGHUP");
    await ready(`http://127.0.0.1:${port}`);
    await writeBothWays(shop, 3);
    await expect(fetch(`${shop.url}/healthz`)).rejects.toThrow();
    expect((await replicator.stop("SIGINT")).code).toBe(0);
  });
});

describe("single commands", () => {
  test("sync moves everything both ways and says what it did; status and doctor agree afterwards", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    const command = (...args: string[]) => tombolo(["-c", shop.file, ...args], shop.env);
    await shop.hub.query("insert into shop.orders select n, 'hub' from generate_series(1, 8) n");
    expect((await command("sync")).stdout).toBe("store-1: 0 sent, 8 received, 0 conflicts resolved\n");
    shop.store("store-1").exec("insert into orders values (100, 'a', 1), (101, 'b', 1); update orders set note = 'store' where id = 1");
    await shop.hub.query("update shop.orders set note = 'parent' where id = 1");
    const { code, stdout } = await command("sync");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^store-1: 3 sent, \d received, 1 conflict resolved\n$/);
    expect(await shop.hubRows()).toBe(shop.storeRows("store-1"));
    expect(await shop.hubRows()).toContain("1:parent ");
    const status = JSON.parse((await command("status", "--json")).stdout);
    expect(status.links[0]).toMatchObject({ up: { pending_changes: 0, lag_seconds: 0 }, down: { pending_changes: 0 }, parked_changes: 0 });
    expect(BigInt(status.links[0].up.packets_sent)).toBeGreaterThan(0n);
    expect(status.links[0].up.packets_acknowledged).toBe(status.links[0].up.packets_sent);
    expect((await command("status")).stdout).toContain("hub/store-1");
    const doctor = await command("doctor");
    expect(doctor.code, doctor.stdout).toBe(0);
  });

  test("plan changes nothing, apply does it once, uninstall leaves no trace", { timeout: 60_000 }, async () => {
    const shop = await openShop();
    opened.push(shop);
    const command = (...args: string[]) => tombolo(["-c", shop.file, ...args], shop.env);
    const traces = async () => {
      const { rows } = await shop.hub.query<{ n: string }>(
        "select (select count(*) from pg_namespace where nspname = 'tombolo') + (select count(*) from pg_trigger where not tgisinternal) as n",
      );
      return [
        Number(rows[0]?.n),
        shop.store("store-1").prepare("select count(*) from sqlite_schema where name like 'tombolo%'").pluck().get(),
      ];
    };
    const sql = await command("plan", "--sql");
    expect([sql.code, sql.stdout]).toEqual([0, expect.stringContaining("-- node hub (postgres)")]);
    expect(await traces()).toEqual([0, 0]);
    expect((await command("apply")).code).toBe(2);
    expect((await command("apply", "--yes")).code).toBe(0);
    const again = (await command("apply", "--yes")).stdout;
    expect(again.split("\n").filter((line) => !line.startsWith(" "))).toEqual([
      "hub (postgres): nothing to do",
      "store-1 (sqlite): nothing to do",
      "",
    ]);
    expect(again).toContain("(IDS_COLLIDE)");
    expect((await command("sync")).code).toBe(0);
    const gone = await command("uninstall", "--yes");
    expect(gone.code, gone.stdout + gone.stderr).toBe(0);
    expect(await traces()).toEqual([0, 0]);
  });

  test("pause holds changes back until resume", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    const command = (...args: string[]) => tombolo(["-c", shop.file, ...args], shop.env);
    expect((await command("sync")).code).toBe(0);
    expect((await command("nodes", "pause", "store-1")).stdout).toBe("store-1: paused\n");
    await shop.hub.query("insert into shop.orders values (1, 'hub')");
    expect((await command("sync")).stdout).toBe("store-1: 0 sent, 0 received, 0 conflicts resolved\n");
    expect((await command("nodes", "list")).stdout).toMatch(/store-1 +sqlite +hub +paused/);
    expect((await command("nodes", "resume", "store-1")).code).toBe(0);
    expect((await command("sync")).stdout).toContain("1 received");
  });

  test("validate names tables that are missing, with their place in the file, and ends with 2", { timeout: 60_000 }, async () => {
    const shop = await openShop();
    opened.push(shop);
    writeFileSync(shop.file, readFileSync(shop.file, "utf8").replace("tables: [", "tables: [shop.nothing, "));
    const { code, stdout } = await tombolo(["-c", shop.file, "validate"], shop.env);
    expect(code, stdout).toBe(2);
    expect(stdout).toMatch(/topology\.yaml:7:\d+: TABLE_MISSING: node hub: /);
    expect(stdout).toMatch(/topology\.yaml:7:\d+: TABLE_MISSING: node store-1: /);
  });

  test("sync is refused while a replicator runs", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    run(shop);
    await ready(shop.url);
    const { code, stderr } = await tombolo(["-c", shop.file, "sync"], shop.env);
    expect([code, stderr]).toEqual([1, expect.stringContaining("REPLICATOR_RUNS")]);
  });

  test("a database of a newer version ends with 5", { timeout: 60_000 }, async () => {
    const shop = await appliedShop();
    await shop.hub.query("insert into tombolo.migration select max(version) + 1000, 'future', now() from tombolo.migration");
    for (const verb of [["plan"], ["run"], ["sync"]]) {
      const { code, stderr } = await tombolo(["-c", shop.file, ...verb], shop.env);
      expect(code, `${verb.join(" ")}: ${stderr}`).toBe(5);
    }
  });

  test("init writes a topology that validates", { timeout: 60_000 }, async () => {
    const shop = await openShop();
    opened.push(shop);
    const out = join(shop.folder, "made.yaml");
    const made = await tombolo(["init", "--postgres", shop.database.url, "--sqlite", join(shop.folder, "store-1.db"), "--out", out]);
    expect([made.code, existsSync(out)], made.stderr).toEqual([0, true]);
    expect(readFileSync(out, "utf8")).not.toContain(shop.database.url);
    const valid = await tombolo(["-c", out, "validate"], shop.env);
    // both nodes count their ids themselves
    expect([valid.code, valid.stdout]).toEqual([0, expect.stringMatching(/ IDS_COLLIDE: warning: .*\n.*: valid, 1 warning\n$/s)]);
    expect((await tombolo(["init", "--postgres", shop.database.url, "--sqlite", join(shop.folder, "store-1.db"), "--out", out])).code).toBe(
      2,
    );
  });
});
