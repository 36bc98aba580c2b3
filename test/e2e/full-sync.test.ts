import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Started, start, tombolo, until } from "../helpers/command.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const ROWS = 150_000;
let shop: Shop;
const started: Started[] = [];

beforeEach(async () => {
  shop = await openShop();
  expect((await tombolo(["-c", shop.file, "apply", "--yes"], shop.env)).code).toBe(0);
  await shop.hub.query(`insert into shop.orders select i, 'order ' || i, i % 10 from generate_series(1, ${ROWS}) as i`);
});

afterEach(async () => {
  for (const one of started.splice(0)) await one.stop("SIGKILL");
  await shop.close();
});

const fullSync = (...args: string[]): Started => {
  const one = start(["-c", shop.file, "full-sync", "store-1", "--yes", ...args], shop.env);
  started.push(one);
  return one;
};
const copying = (one: Started): Promise<void> =>
  until("it copies", async () => Number((await runs())[0]?.rows ?? 0) > 0 || one.process.exitCode !== null);
const runs = async (): Promise<{ state: string; rows: string; error: string | null }[]> =>
  shop.store("store-1").prepare("select state, rows, error from tombolo_full_sync_run order by id desc").all() as never;
const stage = (): string => join(shop.folder, "store-1.db-tombolo-full-sync");
const same = async (): Promise<void> => expect(shop.storeRows("store-1") === (await shop.hubRows())).toBe(true);

test("a full sync that was killed is resumed, and does not begin anew", { timeout: 60_000 }, async () => {
  shop.store("store-1").exec("insert into orders values (900001, 'written here', 1)");
  const first = fullSync();
  await until("a chunk is there", () => existsSync(stage()) && staged(shop) > 0);
  await first.stop("SIGKILL");
  const before = staged(shop);
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(ROWS);
  expect(shop.storeRows("store-1")).toBe("900001:written here");
  await shop.hub.query("update shop.orders set note = 'meanwhile' where id in (1, 149999); delete from shop.orders where id = 2");
  const second = await fullSync("--resume", "--json").finished;
  expect([second.code, second.stderr]).toEqual([0, expect.stringContaining("handing over")]);
  expect(JSON.parse(second.stdout)).toMatchObject({ state: "done", resumed: true, rows: expect.any(Number) });
  expect((await tombolo(["-c", shop.file, "sync"], shop.env)).code).toBe(0);
  await same();
  expect((await shop.hub.query("select note from shop.orders where id in (1, 2, 900001) order by id")).rows).toEqual([
    { note: "meanwhile" },
    { note: "written here" },
  ]);
  expect(existsSync(stage())).toBe(false);
  expect(await runs()).toMatchObject([{ state: "done", error: null }]);
});

test("Ctrl-C cancels it: the child is as it was, and nothing is left behind", { timeout: 60_000 }, async () => {
  shop.store("store-1").exec("insert into orders values (900001, 'written here', 1)");
  const one = fullSync();
  await copying(one);
  const { code, stderr } = await one.stop("SIGINT");
  expect([code, stderr]).toEqual([1, expect.stringContaining("cancelled")]);
  expect(shop.storeRows("store-1")).toBe("900001:written here");
  expect(existsSync(stage())).toBe(false);
  expect(await runs()).toMatchObject([{ state: "cancelled" }]);
});

test("a second one is refused, with who runs the first", { timeout: 60_000 }, async () => {
  // the first can neither read a row nor end before the second was answered
  await shop.hub.query("begin; lock table shop.orders in access exclusive mode");
  const first = fullSync();
  await until("it runs", async () => (await runs())[0]?.state === "running" || first.process.exitCode !== null);
  const second = await fullSync().finished;
  await shop.hub.query("rollback");
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`pid ${first.process.pid}`);
  expect((await first.finished).code).toBe(0);
  await same();
});

test("beside `run`, while both sides are written to, it ends with both the same", { timeout: 60_000 }, async () => {
  const run = start(["-c", shop.file, "run"], shop.env);
  started.push(run);
  await until(
    "the link has filled the child",
    () => shop.store("store-1").prepare("select count(*) from orders").pluck().get() === ROWS,
    30_000,
  );
  shop
    .store("store-1")
    .exec(
      "update tombolo_local set skip = 1; update orders set note = 'drifted' where id % 1000 = 0; delete from orders where id % 5000 = 1; update tombolo_local set skip = 0",
    );
  let write = true;
  const writing = (async () => {
    for (let at = 1; write; at++) {
      await shop.hub.query("update shop.orders set note = $1 where id = $2", [`hub ${at}`, 7 * at]);
      await shop.hub.query("delete from shop.orders where id = $1", [40_000 + at]);
      shop
        .store("store-1")
        .prepare("update orders set qty = ? where id = ?")
        .run(at, 30_000 + at);
      shop
        .store("store-1")
        .prepare("insert into orders values (?, 'store', 1)")
        .run(1_000_000 + at);
    }
  })();
  const { code, stdout, stderr } = await fullSync("--no-backup").finished;
  write = false;
  await writing;
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  expect(stdout).toContain("changed");
  await until("both are the same", async () => shop.storeRows("store-1") === (await shop.hubRows()), 30_000);
  expect(shop.store("store-1").prepare("select count(*) from orders where note = 'drifted'").pluck().get()).toBe(0);
  expect(readdirSync(shop.folder).filter((name) => name.includes("before-full-sync"))).toEqual([]);
});

/** Rows that wait, as far as chunks were committed. */
function staged({ folder }: Shop): number {
  const store = shop.store("store-1");
  try {
    store.prepare("attach ? as stage").run(join(folder, "store-1.db-tombolo-full-sync"));
  } catch {
    return 0;
  }
  try {
    return Number(store.prepare("select sum(rows) from stage.progress").pluck().get() ?? 0);
  } catch {
    return 0;
  } finally {
    store.exec("detach stage");
  }
}
