import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { postgresNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

const BOX: TestTable = { name: "box", channel: "boxes" };
const THING: TestTable = { name: "thing", channel: "things" };
const TABLES = [BOX, THING];

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const node = async (name: string, action: string) => {
  const made = await postgresNode(
    name,
    `create table box (id integer primary key, label text);
     create table thing (id integer primary key, box integer default 2 references box ${action}, label text);`,
    TABLES,
  );
  open.push(made);
  return made;
};

const things = (at: TestNode) => at.rows("select id, box from thing order by id");

/** Somebody who has locked box 1 of the node and seen that nothing is in it. */
async function looking(at: Awaited<ReturnType<typeof node>>): Promise<pg.Client> {
  const application = new pg.Client({ connectionString: at.database.url });
  open.push({ close: () => application.end() });
  await application.connect();
  await application.query("begin; select from box where id = 1 for update");
  expect((await application.query("select from thing where box = 1")).rowCount).toBe(0);
  return application;
}

/** Two boxes at a parent and a child, and nothing in the first. */
async function pair(action: string) {
  const parent = await node("hub", action);
  const child = await node("store", action);
  await parent.write("insert into box values (1, 'empty'), (2, 'full'); insert into thing values (1, 2, 'old')");
  return { parent, child };
}

/** Deletes the box once what arrives waits for that; where nothing waits, after it has arrived. */
async function deleteBox(at: TestNode, application: pg.Client, arriving: Promise<unknown>): Promise<void> {
  let arrived = false;
  arriving.then(() => (arrived = true)).catch(() => (arrived = true));
  await until("it waits for the box, or has not", async () => {
    const { length } = await at.rows(
      "select from pg_locks join pg_stat_activity using (pid) where datname = current_database() and not granted",
    );
    return arrived || length > 0;
  });
  await application.query("delete from box where id = 1; commit");
  await arriving;
}

const NEW = "insert into thing values (7, 1, 'new')";

test.each([
  ["a thing", "on delete cascade", NEW],
  ["a thing", "on delete set null", NEW],
  ["a thing", "on delete set default", NEW],
  ["many things", "on delete cascade", "insert into thing select n, 1, 'new' from generate_series(7, 206) n"],
  ["a thing from another box", "on delete cascade", "update thing set box = 1 where id = 1"],
])("%s from the parent is not undone by a deletion whose application has not seen it (%s)", async (_, action, arrival) => {
  const { parent, child } = await pair(action);
  const link = testLink(parent.node, child.node, TABLES);
  await link.settle();
  const application = await looking(child);
  await parent.write(arrival);
  const wanted = await things(parent);
  await deleteBox(child, application, link.settle());
  await link.settle();
  expect(await things(parent)).toEqual(wanted);
  expect(await parent.rows("select id from box order by id")).toEqual([["1"], ["2"]]);
  expect(await child.rows("select id from thing where box not in (select id from box)")).toEqual([]);
});

test("the same of a row that the child has changed, too", async () => {
  const { parent, child } = await pair("on delete cascade");
  const link = testLink(parent.node, child.node, TABLES);
  await link.settle();
  const application = await looking(child);
  await parent.write("update thing set box = 1 where id = 1");
  await child.write("update thing set label = 'changed' where id = 1");
  await deleteBox(child, application, link.settle());
  await link.settle();
  expect(await parent.rows("select id, box, label from thing")).toEqual([["1", "1", "changed"]]);
});

test("the same of a table that is filled", async () => {
  const { parent, child } = await pair("on delete cascade");
  await testLink(parent.node, child.node, [BOX]).settle();
  const application = await looking(child);
  await parent.write(NEW);
  const link = testLink(parent.node, child.node, TABLES);
  await deleteBox(child, application, link.settle());
  await link.settle();
  expect(await things(parent)).toEqual([
    ["1", "2"],
    ["7", "1"],
  ]);
});

test.each([
  ["a pull", true],
  ["a pull into a table that is empty", false],
])("the same of %s", async (_, isFilled) => {
  const { parent, child } = await pair("on delete cascade");
  await testLink(parent.node, child.node, isFilled ? TABLES : [BOX]).settle();
  const application = await looking(child);
  await parent.write(NEW);
  const arriving = syncFully(parent.node, child.node, TABLES, { tables: ["thing"] as never });
  await deleteBox(child, application, arriving);
  const link = testLink(parent.node, child.node, TABLES);
  await link.settle();
  await link.settle();
  expect(await things(parent)).toEqual([
    ["1", "2"],
    ["7", "1"],
  ]);
});
