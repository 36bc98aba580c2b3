import { afterEach, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { equal, openWorld, type World } from "./world.ts";

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function slotWorld(conflict?: string): Promise<World> {
  const world = await openWorld({
    tables: ["note"],
    postgres: "create table note (id int primary key, body text, n int)",
    sqlite: "create table note (id integer primary key, body text, n integer)",
    capture: "slot",
    ...(conflict !== undefined && { conflict }),
  });
  worlds.push(world);
  return world;
}

const ALL = "select id, body, n from note order by id";

test("three nodes stay equal through writes on all sides and through kills of the replicator; nothing captures but the slots", {
  timeout: 120_000,
}, async () => {
  const world = await slotWorld();
  await world.apply();
  for (const client of [world.hub, world.replica]) {
    expect((await client.query("select count(*)::int as n from pg_trigger where tgname like 'tombolo%'")).rows).toEqual([{ n: 0 }]);
  }
  await world.hub.query("insert into note select n, 'hub', 0 from generate_series(1, 50) n");
  let id = 100;
  for (let kill = 0; kill < 4; kill++) {
    const running = world.run();
    for (let step = 0; step < 40; step++) {
      id += 3;
      await world.hub.query("insert into note values ($1, 'hub', 0)", [id]);
      await world.replica.query("insert into note values ($1, 'replica', 0)", [id + 1]);
      world.store.exec(`insert into note values (${id + 2}, 'store', 0)`);
      await world.hub.query("update note set n = n + 1 where id = $1", [1 + (step % 50)]);
      await world.replica.query("update note set body = body || '.' where id = $1", [1 + ((step + 7) % 50)]);
    }
    if (kill < 3) await running.stop("SIGKILL");
  }
  await equal([world.hub, world.replica, world.store], ALL, 60_000);
  const metrics = await world.metrics();
  expect(metrics).toMatch(/tombolo_slot_retained_wal_bytes\{node="hub"\} \d+/);
  expect(metrics).toMatch(/tombolo_slot_catalog_xmin_age\{node="hub"\} \d+/);
  const { code, stdout } = await world.command("doctor");
  expect(stdout).not.toContain("SLOT_LOST");
  expect([0, 3]).toContain(code);
});

test("sync brings everything over, is refused nothing by a slot that its last run has left, and a person decides a conflict beside run", {
  timeout: 120_000,
}, async () => {
  const world = await slotWorld("manual");
  await world.apply();
  await world.hub.query("insert into note values (1, 'base', 0)");
  for (let round = 0; round < 3; round++) expect((await world.command("sync")).code).toBe(0);
  await equal([world.hub, world.replica, world.store], ALL);
  await world.hub.query("update note set body = 'hub'");
  await world.replica.query("update note set body = 'replica'");
  expect((await world.command("sync")).code).toBe(0);
  world.run();
  await until("the replicator reads the slot", async () => {
    const { rows } = await world.hub.query("select active from pg_replication_slots where database = current_database()");
    return rows[0]?.active === true;
  });
  const listed = JSON.parse((await world.command("conflicts", "list", "--json")).stdout) as { conflicts: { id: string }[] };
  const decided = await world.command("conflicts", "resolve", listed.conflicts[0]?.id ?? "", "--take", "child");
  expect(decided).toMatchObject({ code: 0 });
  await until("the decision is everywhere", async () => (await world.hub.query("select body from note")).rows[0]?.body === "replica");
  await equal([world.hub, world.replica, world.store], ALL);
});

test("a slot that was lost stops its links by name; a full sync for each child brings all nodes together, and a comparison says so", {
  timeout: 120_000,
}, async () => {
  const world = await slotWorld();
  await world.apply();
  await world.hub.query("insert into note values (1, 'base', 0)");
  expect((await world.command("sync")).code).toBe(0);
  await world.hub.query("select pg_drop_replication_slot(slot_name) from tombolo.slot");
  await world.hub.query("insert into note values (2, 'missed', 0); delete from note where id = 1");
  const stopped = await world.command("sync");
  expect(stopped).toMatchObject({ code: 1, stdout: expect.stringContaining("SLOT_LOST") });
  expect((await world.command("status")).stdout).toContain("hub/store is must_resync: the replication slot");
  await world.apply();
  await world.hub.query("insert into note values (3, 'after', 0)");
  world.store.exec("insert into note values (4, 'store', 0)");
  expect((await world.command("sync")).code).toBe(0);
  expect((await world.command("status")).stdout).toContain("hub/store is must_resync: the replication slot");
  for (const child of ["store", "replica"]) expect((await world.command("full-sync", child, "--yes")).code).toBe(0);
  await allWell(world, [2, 3, 4]);
});

test("the same of a child: its parent takes over what only the child has", { timeout: 120_000 }, async () => {
  const world = await slotWorld();
  await world.apply();
  await world.hub.query("insert into note values (1, 'base', 0), (2, 'base', 0)");
  expect((await world.command("sync")).code).toBe(0);
  await world.replica.query("select pg_drop_replication_slot(slot_name) from tombolo.slot");
  await world.replica.query(
    "insert into note values (3, 'missed', 0); delete from note where id = 1; update note set body = 'missed' where id = 2",
  );
  expect(await world.command("sync")).toMatchObject({ code: 1, stdout: expect.stringContaining("SLOT_LOST") });
  await world.apply();
  await world.hub.query("insert into note values (4, 'hub', 0)");
  expect((await world.command("full-sync", "replica", "--direction", "push", "--yes")).code).toBe(0);
  await allWell(world, [2, 3, 4]);
  expect((await world.hub.query("select body from note where id = 2")).rows).toEqual([{ body: "missed" }]);
});

/** Equal, with these rows, and nothing is marked any more. */
async function allWell(world: World, ids: readonly number[]): Promise<void> {
  expect((await world.command("sync")).code).toBe(0);
  await equal([world.hub, world.replica, world.store], ALL);
  expect((await world.hub.query("select id from note order by id")).rows).toEqual(ids.map((id) => ({ id })));
  expect(await world.command("reconcile")).toMatchObject({ code: 0 });
  expect((await world.command("status")).stdout).not.toContain("must_");
}
