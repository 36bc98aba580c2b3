import { afterEach, describe, expect, test } from "vitest";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

type Engine = "postgres" | "sqlite";

const schema = (action: string): string => `
  create table box (id integer primary key, label text);
  create table thing (id integer primary key, box integer references box ${action}, label text);`;

const TABLES: TestTable[] = [{ name: "box" }, { name: "thing" }];

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function node(name: string, engine: Engine, action: string): Promise<TestNode> {
  const made = engine === "postgres" ? await postgresNode(name, schema(action), TABLES) : await sqliteNode(name, schema(action), TABLES);
  open.push(made);
  return made;
}

/** A box with a thing in it, known to both. */
async function pair(engines: readonly [Engine, Engine], action: string) {
  const parent = await node("hub", engines[0], action);
  const child = await node("store", engines[1], action);
  const link = testLink(parent.node, child.node, TABLES);
  await parent.write("insert into box values (1, 'box'); insert into thing values (1, 1, 'thing')");
  await link.settle();
  return { parent, child, link };
}

/** The same, but told of each call before it is made; and with some of its properties others. */
function watched<T extends object>(of: T, calls: (name: string) => Promise<void>, others: Partial<T> = {}): T {
  return new Proxy(of, {
    get(target, name) {
      if (name in others) return others[name as keyof T];
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return name === "tick" ? async (...given: unknown[]) => calls(name).then(() => value.apply(target, given)) : value.bind(target);
    },
  });
}

const boxes = (at: TestNode) => at.rows("select id, label from box order by id");
const things = (at: TestNode) => at.rows("select id, box, label from thing order by id");
const dangling = (at: TestNode) => at.rows("select id from thing where box is not null and box not in (select id from box)");
const parked = async (at: TestNode, prefix: string) =>
  (await at.rows(`select table_name, op from ${prefix}parked_change order by id`)).map((row) => row.join(" "));

const ENGINES: readonly (readonly [Engine, Engine])[] = [
  ["postgres", "sqlite"],
  ["postgres", "postgres"],
  ["sqlite", "sqlite"],
  ["sqlite", "postgres"],
];

describe.each(ENGINES)("a %s parent over a %s child", (...engines) => {
  const [above] = engines;
  const prefix = above === "postgres" ? "tombolo." : "tombolo_";

  test("a deletion and its cascade travel as they are", async () => {
    const { parent, child, link } = await pair(engines, "on delete cascade");
    await child.write("delete from box where id = 1");
    expect(await link.settle()).toMatchObject({ sent: 2, parked: 0, conflicts: 0 });
    expect(await boxes(parent)).toEqual([]);
    expect(await things(parent)).toEqual([]);
  });

  test.each(["on delete cascade", "on delete set null", ""])(
    "a child's deletion never touches a row of its parent's that the child has not seen (%s): it waits until nothing refers to it",
    async (action) => {
      const { parent, child, link } = await pair(engines, action);
      await parent.write("insert into thing values (2, 1, 'unseen')");
      await child.write("delete from thing where id = 1; delete from box where id = 1");
      await link.settle();
      expect(await boxes(parent)).toEqual([["1", "box"]]);
      expect(await things(parent)).toEqual([["2", "1", "unseen"]]);
      expect(await parked(parent, prefix)).toEqual(["box D"]);
      expect(await dangling(child)).toEqual([]);
      await parent.write("update thing set box = null where id = 2");
      await link.settle();
      await link.settle();
      expect(await boxes(parent)).toEqual([]);
      expect(await boxes(child)).toEqual([]);
      expect(await parked(parent, prefix)).toEqual([]);
    },
  );

  test.each(["on delete cascade", "on delete set null"])(
    "a box that the parent deletes and makes anew (%s): what the child has put into it stays there, at both",
    async (action) => {
      const { parent, child } = await pair(engines, action);
      await parent.write("delete from box where id = 1");
      await parent.write("insert into box values (1, 'anew')");
      await child.write("insert into thing values (2, 1, 'mine')");
      // the deletion arrives by itself, after the parent has taken the thing over
      await testLink(parent.node, child.node, TABLES, { maxRows: 1 }).settle();
      expect(await boxes(child)).toEqual([["1", "anew"]]);
      expect(await things(parent)).toEqual([...(action === "on delete cascade" ? [] : [["1", null, "thing"]]), ["2", "1", "mine"]]);
      expect(await things(child)).toEqual(await things(parent));
    },
  );

  test("the same of what the child puts into it while the deletion is on its way", async () => {
    const { parent, child } = await pair(engines, "on delete cascade");
    await parent.write("delete from box where id = 1");
    await parent.write("insert into box values (1, 'anew')");
    let writes = 0;
    // a direct link asks for it when it has brought what the child had; two ends, when each has told the other where it is
    const log = watched(parent.node.log, async (name) => {
      if (name === "tick" && ++writes === 1) await child.write("insert into thing values (2, 1, 'mine')");
    });
    const above = watched(parent.node, async () => undefined, { log });
    await testLink(above, child.node, TABLES, { maxRows: 1 }).settle();
    expect(writes).toBeGreaterThan(0);
    expect(await things(parent)).toEqual([["2", "1", "mine"]]);
    expect(await things(child)).toEqual([["2", "1", "mine"]]);
  });

  test("a row that the parent has changed meanwhile does not go with the box that a child deleted", async () => {
    const { parent, child, link } = await pair(engines, "on delete cascade");
    await parent.write("update thing set label = 'changed' where id = 1");
    await child.write("delete from box where id = 1");
    await link.settle();
    expect(await things(parent)).toEqual([["1", "1", "changed"]]);
    expect(await boxes(parent)).toEqual([["1", "box"]]);
    expect(await dangling(child)).toEqual([]);
  });

  test("what a child has put where its parent deletes goes with it there, and waits at the parent", async () => {
    const { parent, child, link } = await pair(engines, "on delete cascade");
    await child.write("insert into thing values (2, 1, 'unsent')");
    await parent.write("delete from box where id = 1");
    await link.settle();
    expect(await boxes(child)).toEqual([]);
    expect(await things(child)).toEqual([]);
    expect(await parked(parent, prefix)).toEqual(["thing I"]);
  });

  test("a parent's row whose parent row was deleted at the child waits there", async () => {
    const { parent, child, link } = await pair(engines, "");
    await parent.write("insert into thing values (2, 1, 'unseen')");
    await child.write("delete from thing where id = 1; delete from box where id = 1");
    await link.settle();
    expect(await dangling(child)).toEqual([]);
    expect(await things(child)).toEqual([]);
  });
});

test("a child whose role may not silence triggers does the same", async () => {
  const tables = [{ name: "shop.box" }, { name: "shop.thing" }];
  const sql = `create schema shop; ${schema("on delete cascade").replaceAll(/\b(?<=table |references )(box|thing)/g, "shop.$1")}`;
  const parent = await postgresNode("hub", sql, tables, { bareRole: true });
  open.push(parent);
  const child = await postgresNode("store", sql, tables, { bareRole: true });
  open.push(child);
  const link = testLink(parent.node, child.node, tables);
  await parent.write("insert into shop.box values (1, 'box'); insert into shop.thing values (1, 1, 'thing')");
  await link.settle();
  await child.write("insert into shop.thing values (2, 1, 'unsent')");
  await parent.write("delete from shop.box where id = 1");
  await link.settle();
  expect(await child.rows("select id from shop.thing")).toEqual([]);
  expect(await parked(parent, "tombolo.")).toEqual(["shop.thing I"]);
});

test("a row in the middle of a tree that the hub has not taken does not stay behind when what it refers to goes", async () => {
  const hub = await node("hub", "postgres", "on delete cascade");
  const middle = await node("middle", "postgres", "on delete cascade");
  const leaf = await node("leaf", "sqlite", "on delete cascade");
  const links = [testLink(hub.node, middle.node, TABLES), testLink(middle.node, leaf.node, TABLES)];
  const [up, down] = links as [(typeof links)[0], (typeof links)[0]];
  await hub.write("insert into box values (1, 'box')");
  for (const link of links) await link.settle();
  await leaf.write("insert into thing values (1, 1, 'from the leaf')");
  await down.settle();
  await hub.write("delete from box where id = 1");
  for (const link of [up, down, up, down]) await link.settle();
  for (const at of [middle, leaf]) {
    expect(await boxes(at)).toEqual([]);
    expect(await things(at)).toEqual([]);
  }
  expect(await parked(hub, "tombolo.")).toEqual(["thing I"]);
});
