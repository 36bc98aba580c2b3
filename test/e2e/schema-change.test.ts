import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { equal, openWorld, rowsOf, type World } from "./world.ts";

const TABLES = ["control", "added", "dropped_column", "renamed_column", "retyped", "gone", "moved", "recreated", "quiet", "rebuilt"];

/** One replicator for all: what happens to a table must not stop the others, whose changes the next test needs. */
let world: World;
beforeAll(async () => {
  world = await openWorld({
    tables: TABLES,
    postgres: TABLES.map((table) => `create table ${table} (id int primary key, a varchar(20), n int);`).join(""),
    sqlite: TABLES.map((table) => `create table ${table} (id integer primary key, a text, n int);`).join(""),
  });
  await world.apply();
  world.run();
  await flows();
});
afterAll(() => world?.close());

const all = () => [world.hub, world.replica, world.store];

let control = 0;
/** A row from each end reaches all nodes, whatever has become of other tables. */
async function flows(): Promise<void> {
  control += 10;
  await world.hub.query("insert into control values ($1, 'hub')", [control]);
  await world.replica.query("insert into control values ($1, 'replica')", [control + 1]);
  world.store.prepare("insert into control values (?, 'store', 1)").run(control + 2);
  const written = [control, control + 1, control + 2];
  const sql = `select id from control where id in (${written}) order by id`;
  await until("other tables go on", async () => {
    const rows = await Promise.all(all().map((node) => rowsOf(node, sql)));
    return rows.every((text) => text === JSON.stringify(written.map((id) => [id])));
  });
}

/** Row 1 from the hub and row 2 from the store, on all nodes. */
async function filled(table: string): Promise<void> {
  await world.hub.query(`insert into ${table} values (1, 'hub', 1)`);
  world.store.exec(`insert into ${table} values (2, 'store', 1)`);
  const sql = `select id from ${table} order by id`;
  await until(`rows of ${table}`, async () =>
    (await Promise.all(all().map((node) => rowsOf(node, sql)))).every((rows) => rows === "[[1],[2]]"),
  );
}

const parked = async (node: "hub" | "replica" | "store", table: string): Promise<string> =>
  node === "store"
    ? rowsOf(
        world.store,
        `select distinct code from tombolo_parked_change where table_name = 'public.${table}' and code <> 'BEHIND_PARKED'`,
      )
    : rowsOf(
        world[node],
        `select distinct code from tombolo.parked_change where table_name = 'public.${table}' and code <> 'BEHIND_PARKED'`,
      );

async function nothingParked(table: string): Promise<void> {
  for (const node of ["hub", "replica", "store"] as const) {
    await until(`nothing of ${table} is parked at ${node}`, async () => (await parked(node, table)) === "[]");
  }
}

test("a column added at the hub first: its changes wait by name, and apply once the children have the column", {
  timeout: 60_000,
}, async () => {
  await filled("added");
  await world.hub.query("alter table added add x text; insert into added values (3, 'a', 1, 'x3'); update added set x = 'x1' where id = 1");
  await flows();
  for (const node of ["replica", "store"] as const) {
    await until(`parked at ${node}`, async () => (await parked(node, "added")) === '[["COLUMN_MISSING"]]');
  }
  await world.replica.query("alter table added add x text");
  world.store.exec("alter table added add x text");
  await flows();
  await world.apply();
  world.store.exec("update added set x = 'x2' where id = 2");
  await equal(all(), "select id, a, n, x from added order by id");
  expect(await rowsOf(world.hub, "select x from added order by id")).toBe('[["x1"],["x2"],["x3"]]');
  await nothingParked("added");
});

test("a column dropped at the children first: what still has it waits, and applies once the hub has dropped it too", {
  timeout: 60_000,
}, async () => {
  await filled("dropped_column");
  await world.replica.query("alter table dropped_column drop n");
  // SQLite refuses to drop a column that triggers name: the ORM's way
  world.store.exec(`begin; create table fresh (id integer primary key, a text); insert into fresh select id, a from dropped_column;
    drop table dropped_column; alter table fresh rename to dropped_column; commit`);
  await world.hub.query("insert into dropped_column values (3, 'hub', 3); update dropped_column set a = 'new' where id = 2");
  await flows();
  await until("parked at the replica", async () => (await parked("replica", "dropped_column")) === '[["SQLSTATE_42703"]]');
  await until("parked at the store", async () => (await parked("store", "dropped_column")) === '[["COLUMN_MISSING"]]');
  await world.hub.query("alter table dropped_column drop n");
  await world.apply();
  await equal(all(), "select id, a from dropped_column order by id");
  expect(await rowsOf(world.store, "select a from dropped_column order by id")).toBe('[["hub"],["new"],["hub"]]');
  await nothingParked("dropped_column");
});

test("a column renamed at the hub: a child's edit of it waits and is not taken for NULL; the hub's apply after the rename everywhere", {
  timeout: 60_000,
}, async () => {
  await filled("renamed_column");
  await world.hub.query("alter table renamed_column rename a to b; update renamed_column set b = 'hub' where id = 1");
  await world.replica.query("update renamed_column set a = 'replica' where id = 2");
  await flows();
  await until("the child's edit waits at the hub", async () => (await parked("hub", "renamed_column")) === '[["COLUMN_MISSING"]]');
  expect(await rowsOf(world.replica, "select a from renamed_column where id = 2")).toBe('[["replica"]]');
  expect(await rowsOf(world.hub, "select b from renamed_column where id = 2")).toBe('[["store"]]');
  await world.replica.query("alter table renamed_column rename a to b");
  world.store.exec("alter table renamed_column rename a to b");
  await world.apply();
  await flows();
  await until("the hub's edit arrives", async () =>
    [
      await rowsOf(world.replica, "select b from renamed_column where id = 1"),
      await rowsOf(world.store, "select b from renamed_column where id = 1"),
    ].every((rows) => rows === '[["hub"]]'),
  );
  // the old name says nothing about the new one: only a person can
  expect(await parked("hub", "renamed_column")).toBe('[["COLUMN_MISSING"]]');
});

test("a type widened at the hub first: what does not fit waits, and applies once it fits; prepared statements do not stay behind", {
  timeout: 60_000,
}, async () => {
  await filled("retyped");
  await world.hub.query("alter table retyped alter n type bigint, alter a type text; update retyped set n = 5000000000 where id = 1");
  await flows();
  await until("parked at the replica", async () => (await parked("replica", "retyped")) === '[["SQLSTATE_22003"]]');
  await world.replica.query("alter table retyped alter n type bigint, alter a type text");
  await world.apply();
  await world.replica.query("update retyped set n = 7000000000, a = repeat('long', 20) where id = 2");
  const sql = "select id, a, n::text from retyped order by id";
  await until("all have it", async () => {
    const rows = [await rowsOf(world.hub, sql), await rowsOf(world.replica, sql)];
    rows.push(await rowsOf(world.store, "select id, a, cast(n as text) from retyped order by id"));
    return new Set(rows).size === 1 && (rows[0] ?? "").includes("7000000000") && (rows[0] ?? "").includes("5000000000");
  });
  await nothingParked("retyped");
});

test("a table dropped at the children: its changes wait, and apply to the table that is made again", { timeout: 60_000 }, async () => {
  await filled("gone");
  await world.replica.query("drop table gone");
  world.store.exec("drop table gone");
  await world.hub.query("insert into gone values (3, 'hub', 1); update gone set a = 'new' where id = 2");
  await flows();
  await until("parked at the replica", async () => (await parked("replica", "gone")) === '[["SQLSTATE_42P01"]]');
  await until("parked at the store", async () => (await parked("store", "gone")) === '[["TABLE_MISSING"]]');
  await world.replica.query("create table gone (id int primary key, a varchar(20), n int)");
  world.store.exec("create table gone (id integer primary key, a text, n int)");
  await world.apply();
  // row 1 was in the dropped tables only: that is for a comparison to find, and both say so
  const sql = "select id, a from gone order by id";
  await until("what waited applies", async () =>
    [await rowsOf(world.replica, sql), await rowsOf(world.store, sql)].every((rows) => rows === '[[2,"new"],[3,"hub"]]'),
  );
  expect(await rowsOf(world.replica, "select state from tombolo.captured_table where table_name = 'public.gone'")).toBe(
    '[["must_compare"]]',
  );
  expect(await rowsOf(world.store, "select state from tombolo_captured_table where table_name = 'public.gone'")).toBe('[["must_compare"]]');
  await nothingParked("gone");
});

test("a table renamed at the hub: the children's changes wait there, its own go on; back under its name everything applies", {
  timeout: 60_000,
}, async () => {
  await filled("moved");
  await world.hub.query("alter table moved rename to elsewhere; update elsewhere set a = 'renamed' where id = 1");
  await world.replica.query("insert into moved values (3, 'replica', 1)");
  world.store.exec("update moved set a = 'edited' where id = 2");
  await flows();
  await until("parked at the hub", async () => (await parked("hub", "moved")) === '[["SQLSTATE_42P01"]]');
  await world.hub.query("alter table elsewhere rename to moved");
  await equal(all(), "select id, a from moved order by id");
  expect(await rowsOf(world.hub, "select a from moved order by id")).toBe('[["renamed"],["edited"],["replica"]]');
  await nothingParked("moved");
});

test("a table dropped and made again at the hub is named until it is captured again, and must be compared", {
  timeout: 60_000,
}, async () => {
  await filled("recreated");
  await world.hub.query("drop table recreated; create table recreated (id int primary key, a varchar(20), n int)");
  await world.hub.query("insert into recreated values (3, 'unseen', 1)");
  await flows();
  const doctor = await world.command("doctor");
  expect([doctor.code, doctor.stdout]).toEqual([3, expect.stringMatching(/create trigger \S+ on public\.recreated.*\(NOT_APPLIED\)/)]);
  await world.apply();
  await world.hub.query("insert into recreated values (4, 'seen', 1)");
  const sql = "select id from recreated where id = 4";
  await until("captured again", async () => (await rowsOf(world.replica, sql)) === "[[4]]" && (await rowsOf(world.store, sql)) === "[[4]]");
  expect((await world.command("status")).stdout).toContain("hub: public.recreated is must_compare: TABLE_DROPPED");
});

test("triggers disabled or dropped for a time: status, doctor and metrics name the table, also after they are back", {
  timeout: 60_000,
}, async () => {
  await filled("quiet");
  await world.hub.query("alter table quiet disable trigger all; insert into quiet values (10, 'unseen', 1)");
  const triggers = world.store
    .prepare<[], string>("select name from sqlite_schema where type = 'trigger' and tbl_name = 'quiet'")
    .pluck()
    .all();
  for (const name of triggers) world.store.exec(`drop trigger ${name}`);
  world.store.exec("insert into quiet values (11, 'unseen', 1)");
  await flows();
  await until("metrics show the drift", async () => {
    const [hub, store] = await Promise.all([marked("hub", "quiet"), marked("store", "quiet")]);
    const now = await drifted();
    return hub > 0 && store > 0 && now.hub === hub && now.store === store;
  });
  const doctor = await world.command("doctor");
  expect([doctor.code, doctor.stdout]).toEqual([3, expect.stringMatching(/public\.quiet .*TRIGGER_DISABLED/)]);
  await world.apply();
  world.store.exec("insert into quiet values (12, 'seen', 1)");
  await until("captured again", async () => (await rowsOf(world.replica, "select id from quiet where id = 12")) === "[[12]]");
  const { stdout } = await world.command("status");
  expect(stdout).toContain("hub: public.quiet is must_compare: TRIGGER_DISABLED");
  expect(stdout).toContain("store: public.quiet is must_compare: ");
});

test("a SQLite table rebuilt the ORM way is named, also when apply comes before anyone has looked", { timeout: 60_000 }, async () => {
  await filled("rebuilt");
  world.store.exec(`begin; create table fresh (id integer primary key, a text, n int); insert into fresh select * from rebuilt;
    drop table rebuilt; alter table fresh rename to rebuilt; commit; insert into rebuilt values (10, 'unseen', 1)`);
  await world.apply();
  world.store.exec("insert into rebuilt values (11, 'seen', 1)");
  await until("captured again", async () => (await rowsOf(world.hub, "select id from rebuilt where id = 11")) === "[[11]]");
  expect((await world.command("status")).stdout).toContain("store: public.rebuilt is must_compare: ");
  await flows();
});

/** How many tables are marked at a node; 0 while this one is not. */
async function marked(node: "hub" | "store", table: string): Promise<number> {
  const [name, database] = node === "hub" ? ["tombolo.captured_table", world.hub] : ["tombolo_captured_table", world.store];
  const names = JSON.parse(await rowsOf(database, `select table_name from ${name} where state = 'must_compare'`)) as string[][];
  return names.some(([each]) => each === `public.${table}`) ? names.length : 0;
}

async function drifted(): Promise<{ hub: number; store: number }> {
  const page = await world.metrics();
  const of = (node: string): number => Number(new RegExp(`^tombolo_drifted_tables\\{node="${node}"\\} (\\d+)$`, "m").exec(page)?.[1] ?? -1);
  return { hub: of("hub"), store: of("store") };
}
