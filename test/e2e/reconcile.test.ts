import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleepMs } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { UNSEEN } from "../helpers/capture-switch.ts";
import { until } from "../helpers/command.ts";
import { equal, openWorld, type World } from "./world.ts";

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const open = async (): Promise<World> => {
  world = await openWorld({
    tables: ["item", "tag"],
    postgres: "create table public.item (id integer primary key, name text); create table public.tag (name text primary key, n integer)",
    sqlite: "create table item (id integer primary key, name text); create table tag (name text not null primary key, n integer)",
  });
  await world.apply();
  await world.hub.query("insert into item select g, 'item ' || g from generate_series(1, 2000) g; insert into tag values ('a', 1)");
  return world;
};

/** Someone restores a table with the triggers disabled. */
const unseen = async ({ replica }: World, sql: string): Promise<void> => void (await replica.query(UNSEEN.postgres(sql)));

test("drift is reported with exit 3, repaired, and gone; tables that must be compared are not marked any more", async () => {
  const { command, replica, hub, store } = await open();
  expect((await command("sync")).code).toBe(0);
  const clean = await command("reconcile");
  expect(clean).toMatchObject({ code: 0, stdout: expect.stringContaining("hub/replica public.item: 2000 compared, 0 differ\n") });
  await unseen(
    world!,
    "update item set name = 'drifted' where id = 7; delete from item where id = 8; insert into item values (5000, 'surplus')",
  );
  const status = async (): Promise<unknown> =>
    JSON.parse((await command("status", "--json")).stdout).nodes.map((node: { drift: unknown[] }) => node.drift.length);
  await replica.query(
    "update tombolo.captured_table set state = 'must_compare', reason = 'TRIGGER_DISABLED' where table_name = 'public.item'",
  );
  expect(await status()).toEqual([0, 1, 0]);
  const found = await command("reconcile", "--link", "hub/replica");
  expect(found.code).toBe(3);
  expect(found.stdout).toBe(
    "public.item: 2000 compared, 3 differ\n  7 differs, 8 only at hub, 5000 only at replica\npublic.tag: 1 compared, 0 differ\n",
  );
  const json = JSON.parse((await command("reconcile", "--table", "public.item", "--json")).stdout);
  expect(json.links.map((link: { child: string; outcome: string }) => `${link.child} ${link.outcome}`)).toEqual([
    "replica drift",
    "store clean",
  ]);
  expect(json.links[0].tables[0]).toMatchObject({
    table: "public.item",
    compared: 2000,
    differing: 3,
    only_at_parent: 1,
    only_at_child: 1,
    partial: false,
  });
  expect(await status()).toEqual([0, 1, 0]);
  const repaired = await command("reconcile", "--repair", "parent");
  expect(repaired).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("hub/replica public.item: 2000 compared, 3 differ, 3 repaired\n"),
  });
  await equal([hub, replica, store], "select id, name from item order by id");
  expect(await status()).toEqual([0, 0, 0]);
  const { conflicts } = JSON.parse((await command("conflicts", "list", "--json")).stdout);
  expect(conflicts.map(({ policy, kind }: { policy: string; kind: string }) => `${policy} ${kind}`).sort()).toEqual([
    "reconcile delete_update",
    "reconcile update_update",
  ]);
});

test("while `run` replicates, a report needs nothing of it, and it carries a repair", async () => {
  const { command, run, replica, hub, store } = await open();
  const replicator = run();
  await equal([hub, replica, store], "select name from item where id = 2000");
  let writing = true;
  const writer = (async (): Promise<number> => {
    let n = 0;
    for (; writing; n++) await hub.query("update item set name = 'busy ' || $1 where id = 1 + ($1::int * 7) % 500", [n]);
    return n;
  })();
  await unseen(world!, "update item set name = 'drifted' where id in (1500, 1501)");
  const report = await command("reconcile");
  expect(report.stdout).toContain("hub/replica public.item: 2000 compared, 2 differ");
  expect(report.stdout).toContain("hub/store public.item: 2000 compared, 0 differ");
  expect(report.code).toBe(3);
  const repaired = await command("reconcile", "--repair", "parent", "--link", "hub/replica");
  expect(repaired.stdout).toContain("public.item: 2000 compared, 2 differ, 2 repaired");
  expect(repaired).toMatchObject({ code: 0, stderr: expect.stringContaining("repairs are carried by run on") });
  writing = false;
  expect(await writer).toBeGreaterThan(50);
  await equal([hub, replica, store], "select id, name from item order by id");
  expect((await replicator.stop()).code).toBe(0);
});

test("what has changed is compared alone, once all rows were", async () => {
  const { command, hub } = await open();
  await command("sync");
  const link = ["reconcile", "--link", "hub/replica", "--changed"] as const;
  expect((await command(...link)).stdout).toBe(
    "public.item: 2000 compared, 0 differ (all rows: no comparison to go on from)\npublic.tag: 1 compared, 0 differ (all rows: no comparison to go on from)\n",
  );
  await hub.query("update item set name = 'new' where id in (7, 8)");
  await command("sync");
  await unseen(world!, "update item set name = 'drifted' where id in (8, 9)");
  const found = await command(...link);
  expect(found).toMatchObject({
    code: 3,
    stdout: "public.item: 2 changed rows compared, 1 differs\n  8 differs\npublic.tag: 0 changed rows compared, 0 differ\n",
  });
  const repaired = JSON.parse((await command(...link, "--repair", "parent", "--json")).stdout);
  expect(repaired).toMatchObject({
    scope: "changed",
    links: [{ outcome: "repaired", tables: [{ scope: "changed", whole: null, compared: 1 }, {}] }],
  });
  expect((await command("reconcile", "--link", "hub/replica")).stdout).toContain("2000 compared, 1 differs\n  9 differs");
  expect((await command(...link, "--sample", "5")).code).toBe(2);
});

test("a range, a sample and a wrong option", async () => {
  const { command } = await open();
  await command("sync");
  await unseen(world!, "update item set name = 'drifted' where id in (10, 1500)");
  const range = await command("reconcile", "--link", "hub/replica", "--table", "public.item", "--range", "1000..1600");
  expect(range).toMatchObject({ code: 3, stdout: "public.item: 600 compared, 1 differs\n  1500 differs\n" });
  expect((await command("reconcile", "--link", "hub/replica", "--table", "public.item", "--range", "..1500")).stdout).toContain(
    "10 differs",
  );
  expect((await command("reconcile", "--sample", "50")).code).not.toBe(2);
  for (const wrong of [
    ["--range", "1..2"],
    ["--sample", "0"],
    ["--table", "public.nothing"],
    ["--link", "hub/nobody"],
    ["--repair", "child"],
  ]) {
    const { code, stderr } = await command("reconcile", ...wrong);
    expect(code, wrong.join(" ")).toBe(2);
    expect(stderr).toContain(wrong[0]!.slice(2));
  }
});

test("a schedule of the topology is kept by `run`, mends drift by itself, and is taken up and dropped by a reload", async () => {
  const { run, hub, replica, store, folder, metrics } = await open();
  const file = join(folder, "topology.yaml");
  const without = readFileSync(file, "utf8");
  writeFileSync(file, `${without}reconcile:\n  - { name: often, cron: "* * * * * *", repair: parent }\n`);
  const replicator = run();
  await equal([hub, replica, store], "select name from item where id = 2000");
  await unseen(world!, "update item set name = 'drifted' where id = 7");
  await equal([hub, replica, store], "select id, name from item where id = 7");
  const count = async (outcome: string): Promise<number> =>
    Number(new RegExp(`reconcile_runs_total\\{name="often",outcome="${outcome}"\\} (\\d+)`).exec(await metrics())?.[1]);
  await until("a clean run after the repair", async () => (await count("repaired")) >= 1 && (await count("clean")) >= 1);
  const { rows } = await hub.query("select distinct name, repair from tombolo.reconcile_run");
  expect(rows).toEqual([{ name: "often", repair: "parent" }]);
  writeFileSync(file, without);
  replicator.process.kill("SIGHUP");
  await until("the reload", () => replicator.stderr().includes("is in force"));
  const before = (await hub.query("select max(id) from tombolo.reconcile_run")).rows[0].max;
  await unseen(world!, "update item set name = 'drifted' where id = 8");
  await sleepMs(2_500);
  expect((await hub.query("select max(id) from tombolo.reconcile_run")).rows[0].max).toBe(before);
  expect((await replicator.stop()).code).toBe(0);
});
