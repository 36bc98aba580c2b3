import { afterEach, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { equal, openWorld, rowsOf, type World } from "./world.ts";

let world: World;
afterEach(() => world?.close());

const open = async (): Promise<World> => {
  world = await openWorld({
    tables: ["item"],
    postgres: "create table item (id int primary key, a text)",
    sqlite: "create table item (id integer primary key, a text)",
    more: ["ddl: add_columns"],
  });
  await world.hub.query("insert into item values (1, 'before')");
  await world.apply();
  return world;
};
const nodes = () => [world.hub, world.replica, world.store];

const NOTE = "alter table item add note text not null default 'it''s new'";
/** Of every kind of type that the engines share; what SQLite holds of it follows docs/values.md. */
const ADD = `${NOTE}, add qty int default 7, add price numeric(10,2) default 1.50,
  add attrs jsonb default '{"a": 1}', add done boolean not null default true, add tags text[] default '{x,"y z"}', add raw bytea, add at timestamptz`;

test("columns that the hub's table gets come to its children, with the values of the rows that are there; what was written meanwhile has waited", {
  timeout: 60_000,
}, async () => {
  await open();
  const replicator = world.run();
  await equal(nodes(), "select id, a from item order by id");
  await world.hub.query(`${ADD}; insert into item (id, a, qty) values (2, 'with it', 8); update item set qty = 9 where id = 1`);
  const both = "select * from item order by id";
  await until("the replica has all of it", async () => (await rowsOf(world.replica, both)) === (await rowsOf(world.hub, both)));
  await until(
    "the store has all of it",
    async () =>
      (await rowsOf(world.store, "select id, a, note, qty, price, attrs, done, tags from item order by id")) ===
      `[[1,"before","it's new",9,1.5,"{\\"a\\": 1}",1,"{x,\\"y z\\"}"],[2,"with it","it's new",8,1.5,"{\\"a\\": 1}",1,"{x,\\"y z\\"}"]]`,
  );
  world.store.exec("insert into item (id, a, note, qty) values (3, 'of the store', 'n', 1)");
  await until(
    "the store's row is everywhere",
    async () => (await rowsOf(world.replica, "select qty, note from item where id = 3")) === '[[1,"n"]]',
  );
  for (const node of [world.hub, world.replica])
    expect(await rowsOf(node, "select count(*)::int from tombolo.parked_change")).toBe("[[0]]");
  expect(await rowsOf(world.store, "select count(*) from tombolo_parked_change")).toBe("[[0]]");
  expect(replicator.stderr()).toContain("COLUMNS_ADDED");
  expect((await world.command("plan")).stdout).toMatch(/nothing to do/);
});

test("columns that all of them have already are captured by themselves: a replicator that died after it had added them has left that to the next one", {
  timeout: 60_000,
}, async () => {
  await open();
  await world.hub.query(NOTE);
  await world.replica.query(NOTE);
  world.store.exec(NOTE);
  await world.hub.query("update item set note = 'of the hub'");
  world.run();
  await equal(nodes(), "select * from item order by id");
  world.store.exec("update item set note = 'of the store'");
  await until("the store's comes up", async () => (await rowsOf(world.hub, "select note from item")) === '[["of the store"]]');
  await equal(nodes(), "select * from item order by id");
  expect((await world.command("plan")).stdout).toMatch(/nothing to do/);
});

test("a renamed column is not taken for a new one: it is told, and nothing is added", { timeout: 60_000 }, async () => {
  await open();
  const replicator = world.run();
  await equal(nodes(), "select id, a from item order by id");
  await world.hub.query("alter table item rename a to b");
  await until("it is told", () => replicator.stderr().includes("COLUMNS_DIFFER"));
  expect(await rowsOf(world.store, "select name from pragma_table_info('item') order by cid")).toBe('[["id"],["a"]]');
});

test("a column whose type a child does not have is told with the table; by `sync` too the others are carried over", {
  timeout: 60_000,
}, async () => {
  await open();
  await world.hub.query("create type mood as enum ('good'); alter table item add m mood, add n int default 3");
  const { code, stderr } = await world.command("sync");
  expect(stderr).toContain("could not be added to public.item of replica");
  expect(await rowsOf(world.store, "select n, m from item")).toBe("[[3,null]]");
  await world.replica.query("create type mood as enum ('good')");
  const again = await world.command("sync");
  expect([code, again.code]).toEqual([0, 0]);
  expect(await rowsOf(world.replica, "select n, m from item")).toBe("[[3,null]]");
});
