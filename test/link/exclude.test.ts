import { afterEach, describe, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { planExit } from "../../replicator/cli/node-plans.ts";
import { planNodes } from "../../replicator/operations/node-plans.ts";
import { parseTopology } from "../../replicator/topology/load.ts";
import { conflictHistory } from "../helpers/history.ts";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink, wanted } from "../helpers/nodes.ts";

type Engine = "postgres" | "sqlite";

const PG = `create table public.item (id bigint primary key, a text, note text default 'new', b text, shout text generated always as (upper(note)) stored)`;
const SQLITE = `create table item (id integer primary key, a text, note text default 'new', b text, shout text as (upper(note)) stored)`;
const ITEM: TestTable = { name: "item", exclude: ["note"] };

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function nodeOf(name: string, engine: Engine, tables: readonly TestTable[] = [ITEM]): Promise<TestNode> {
  const node = engine === "postgres" ? await postgresNode(name, PG, tables) : await sqliteNode(name, SQLITE, tables);
  open.push(node);
  return node;
}

const ROWS = "select id, a, note, b, shout from item order by id";
const LOGGED = { postgres: "select count(*) from tombolo.change", sqlite: "select count(*) from tombolo_change" };

const PAIRS = [
  ["postgres", "postgres"],
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
  ["sqlite", "sqlite"],
] as const;

describe.each(PAIRS)("a column that stays at home, between a %s parent and a %s child,", (above, below) => {
  async function pair(table: TestTable = ITEM) {
    const parent = await nodeOf("hub", above, [table]);
    const child = await nodeOf("store", below, [table]);
    return { parent, child, link: testLink(parent.node, child.node, [table]) };
  }

  test("keeps its values on both sides through inserts, updates and deletes in both directions", async () => {
    const { parent, child, link } = await pair();
    await parent.write("insert into item (id, a, note, b) values (1, 'x', 'hub 1', 'y'), (2, 'x', 'hub 2', 'y')");
    await child.write("insert into item (id, a, note, b) values (3, 'x', 'store 3', 'y'), (4, 'x', 'store 4', 'y')");
    await link.settle();
    await parent.write("update item set note = 'hub ' || id where id > 2");
    await child.write("update item set note = 'store ' || id where id < 3");
    await parent.write("update item set a = 'p' where id in (1, 3)");
    await child.write("update item set b = 'c' where id in (1, 2, 3)");
    await parent.write("update item set a = 'both', note = 'hub both' where id = 2");
    await parent.write("delete from item where id = 4");
    await link.settle();
    expect(await parent.rows(ROWS)).toEqual([
      ["1", "p", "hub 1", "c", "HUB 1"],
      ["2", "both", "hub both", "c", "HUB BOTH"],
      ["3", "p", "hub 3", "c", "HUB 3"],
    ]);
    expect(await child.rows(ROWS)).toEqual([
      ["1", "p", "store 1", "c", "STORE 1"],
      ["2", "both", "store 2", "c", "STORE 2"],
      ["3", "p", "store 3", "c", "STORE 3"],
    ]);
    expect([...(await conflictHistory(parent, above)), ...(await conflictHistory(child, below))]).toEqual([]);
  });

  test("gets its default in a row that comes in, and is left alone from then on", async () => {
    const { parent, child, link } = await pair();
    await parent.write("insert into item (id, a, note) values (1, 'x', 'secret')");
    await link.settle();
    await child.write("insert into item (id, a, note) values (2, 'x', 'secret')");
    await link.settle();
    expect(await child.rows(ROWS)).toEqual([
      ["1", "x", "new", null, "NEW"],
      ["2", "x", "secret", null, "SECRET"],
    ]);
    expect(await parent.rows(ROWS)).toEqual([
      ["1", "x", "secret", null, "SECRET"],
      ["2", "x", "new", null, "NEW"],
    ]);
  });

  test("is not logged when it is all that an update changes, and nothing is sent", async () => {
    const { parent, child, link } = await pair();
    await parent.write("insert into item (id, a) values (1, 'x')");
    await link.settle();
    const logged = async () => [await parent.rows(LOGGED[above]), await child.rows(LOGGED[below])];
    const before = await logged();
    await parent.write("update item set note = 'quiet'");
    await child.write("update item set note = 'still'");
    expect(await logged()).toEqual(before);
    expect(await link.settle()).toMatchObject({ sent: 0, received: 0 });
  });

  test("is not part of a conflict of rows, of its images, or of its outcome", async () => {
    const table: TestTable = { ...ITEM, detect: "row", policy: "child_wins" };
    const { parent, child, link } = await pair(table);
    await parent.write("insert into item (id, a) values (1, 'x'), (2, 'x'), (3, 'x'), (4, 'x')");
    await link.settle();
    // no conflict: the parent has changed what stays at home
    await parent.write("update item set note = 'hub' where id < 4");
    await child.write("update item set a = 'c' where id = 1");
    // a conflict about a, about a deletion, and about an insert
    await parent.write("update item set a = 'p' where id = 2");
    await child.write("update item set b = 'c', note = 'store' where id = 2");
    await parent.write("delete from item where id = 3");
    await child.write("update item set a = 'c', note = 'store' where id = 3");
    await parent.write("insert into item (id, a, note) values (5, 'p', 'hub')");
    await child.write("insert into item (id, a, note) values (5, 'c', 'store')");
    await link.settle();
    expect(await parent.rows(ROWS)).toEqual([
      ["1", "c", "hub", null, "HUB"],
      ["2", "x", "hub", "c", "HUB"],
      ["3", "c", "new", null, "NEW"],
      ["4", "x", "new", null, "NEW"],
      ["5", "c", "hub", null, "HUB"],
    ]);
    expect(await child.rows(ROWS)).toEqual([
      ["1", "c", "new", null, "NEW"],
      ["2", "x", "store", "c", "STORE"],
      ["3", "c", "store", null, "STORE"],
      ["4", "x", "new", null, "NEW"],
      ["5", "c", "store", null, "STORE"],
    ]);
    const history = await conflictHistory(parent, above);
    expect(history.map(({ key, kind }) => `${key.id} ${kind}`).toSorted()).toEqual([
      "2 update_update",
      "3 delete_update",
      "5 insert_insert",
    ]);
    for (const { images } of history) expect(images).not.toMatch(/note|store|hub/);
  });

  test("stays at home although the log and the neighbour are older than the list", async () => {
    const { parent, child, link } = await pair({ name: "item" });
    await parent.write("insert into item (id, a, note) values (1, 'x', 'n'), (2, 'x', 'n'), (3, 'x', 'n')");
    await link.settle();
    await child.write("update item set a = 'c', note = 'store' where id = 1");
    await child.write("update item set note = 'store' where id = 2");
    await child.write("insert into item (id, a, note) values (4, 'x', 'store')");
    await parent.write("update item set a = 'p', note = 'hub' where id = 3");
    await parent.write("update item set note = 'hub' where id = 1");
    // the child still lets it travel
    await parent.node.installation.apply(wanted([ITEM], above));
    const later = testLink(parent.node, child.node, [ITEM]);
    await later.settle();
    expect(await parent.rows(ROWS)).toEqual([
      ["1", "c", "hub", null, "HUB"],
      ["2", "x", "n", null, "N"],
      ["3", "p", "hub", null, "HUB"],
      ["4", "x", "new", null, "NEW"],
    ]);
    await child.write("delete from item where id = 2");
    await child.write("update item set note = 'mine' where id = 3");
    await child.write("update item set b = 'c', note = 'mine' where id = 1");
    await child.node.installation.apply(wanted([ITEM], below));
    await later.settle();
    await parent.write("update item set b = 'p' where id = 3");
    await later.settle();
    expect(await parent.rows(ROWS)).toEqual([
      ["1", "c", "hub", "c", "HUB"],
      ["3", "p", "hub", "p", "HUB"],
      ["4", "x", "new", null, "NEW"],
    ]);
    expect(await child.rows(ROWS)).toEqual([
      ["1", "c", "mine", "c", "MINE"],
      ["3", "p", "mine", "p", "MINE"],
      ["4", "x", "store", null, "STORE"],
    ]);
    for (const node of [parent, child]) {
      const { tables, parkedChanges } = await node.node.installation.status();
      expect({ tables, parkedChanges }).toMatchObject({ tables: [{ state: "live" }], parkedChanges: 0 });
    }
  });

  test("that travels again is said to differ, and what is logged from then on is read", async () => {
    const { parent, child, link } = await pair();
    await parent.write("insert into item (id, a, note) values (1, 'x', 'hub'), (2, 'x', 'hub')");
    await link.settle();
    await parent.write("update item set a = 'p' where id = 1");
    await child.write("insert into item (id, a, note) values (3, 'x', 'store')");
    const everything: TestTable = { name: "item" };
    for (const [node, engine] of [
      [parent, above],
      [child, below],
    ] as const) {
      const plan = await node.node.installation.plan(wanted([everything], engine));
      expect(plan.findings.map(({ severity, code }) => `${severity} ${code}`)).toContain("warning EXCLUDED_COLUMN_TRAVELS");
      await node.node.installation.apply(wanted([everything], engine));
      expect((await node.node.installation.status()).tables).toMatchObject([{ state: "must_compare" }]);
      expect(await node.node.installation.verify()).toEqual([]);
    }
    const later = testLink(parent.node, child.node, [everything]);
    await later.settle();
    await parent.write("update item set note = 'told' where id in (1, 3)");
    await child.write("update item set a = 'c', b = 'c' where id = 2");
    await later.settle();
    const all = [
      ["1", "p", "told", null, "TOLD"],
      ["3", "x", "told", null, "TOLD"],
    ];
    expect((await parent.rows(ROWS)).filter(([id]) => id !== "2")).toEqual(all);
    expect((await child.rows(ROWS)).filter(([id]) => id !== "2")).toEqual(all);
    // what nobody has edited since stays different until it is compared, and nobody deletes what they did not see
    expect(await parent.rows("select a, b, note from item where id = 2")).toEqual([["c", "c", "hub"]]);
    expect(await child.rows("select a, b, note from item where id = 2")).toEqual([["c", "c", "new"]]);
    await child.write("delete from item where id = 2");
    await later.settle();
    expect(await parent.rows("select a, b, note from item where id = 2")).toEqual([["c", "c", "hub"]]);
    expect(await child.rows(ROWS)).toEqual(await parent.rows(ROWS));
    expect((await conflictHistory(parent, above)).map(({ kind }) => kind)).toEqual(["update_delete"]);
  });
});

test("across three levels each node keeps its own", async () => {
  const hub = await nodeOf("hub", "postgres");
  const middle = await nodeOf("middle", "sqlite");
  const leaf = await nodeOf("leaf", "postgres");
  const upper = testLink(hub.node, middle.node, [ITEM]);
  const lower = testLink(middle.node, leaf.node, [ITEM]);
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) for (const link of [lower, upper]) await link.settle();
  };
  await hub.write("insert into item (id, a, note) values (1, 'x', 'hub')");
  await leaf.write("insert into item (id, a, note) values (2, 'x', 'leaf')");
  await settle();
  for (const [name, node] of Object.entries({ hub, middle, leaf })) await node.write(`update item set note = '${name}'`);
  await hub.write("update item set a = 'from hub' where id = 2");
  await leaf.write("update item set a = 'from leaf' where id = 1");
  await middle.write("update item set b = 'from middle'");
  await settle();
  for (const [name, node] of Object.entries({ hub, middle, leaf })) {
    expect(await node.rows(ROWS), name).toEqual([
      ["1", "from leaf", name, "from middle", name.toUpperCase()],
      ["2", "from hub", name, "from middle", name.toUpperCase()],
    ]);
  }
});

test("a fill leaves what a row of the same key has at home", async () => {
  const parent = await nodeOf("hub", "postgres");
  const child = await nodeOf("store", "sqlite");
  await parent.write("insert into item (id, a, note) values (1, 'x', 'hub'), (2, 'x', 'hub')");
  await child.write("insert into item (id, a, note) values (1, 'x', 'store')");
  await testLink(parent.node, child.node, [ITEM]).settle();
  expect(await child.rows(ROWS)).toEqual([
    ["1", "x", "store", null, "STORE"],
    ["2", "x", "new", null, "NEW"],
  ]);
  expect(await parent.rows("select id, note from item order by id")).toEqual([
    ["1", "hub"],
    ["2", "hub"],
  ]);
});

describe("what stands against keeping a column at home is found by plan", () => {
  const findings = async (engine: Engine, schema: string, exclude: readonly string[], receives = true) => {
    const node = engine === "postgres" ? await postgresNode("n", schema) : await sqliteNode("n", schema);
    open.push(node);
    const [table] = wanted([{ name: "t", exclude }], engine);
    const plan = await node.node.installation.plan([{ ...table!, receives }]);
    return plan.findings.filter(({ code }) => code.startsWith("EXCLUDED")).map(({ severity, code }) => `${severity} ${code}`);
  };

  test.each(["postgres", "sqlite"] as const)("in %s", async (engine) => {
    const schema =
      "create table t (id integer primary key, v text, needed text not null, given text not null default 'x', must text not null default null)";
    expect(await findings(engine, schema, ["v", "given"])).toEqual([]);
    expect(await findings(engine, schema, ["id"])).toEqual(["error EXCLUDED_COLUMN_IN_KEY"]);
    expect(await findings(engine, schema, ["other"])).toEqual(["warning EXCLUDED_COLUMN_MISSING"]);
    expect(await findings(engine, schema, ["needed"])).toEqual(["error EXCLUDED_COLUMN_REQUIRED"]);
    expect(await findings(engine, schema, ["needed"], false)).toEqual([]);
  });

  test("a name is as in the database: its case counts in Postgres, not in SQLite", async () => {
    expect(await findings("postgres", 'create table t (id int primary key, "Note" text)', ["note"])).toEqual([
      "warning EXCLUDED_COLUMN_MISSING",
    ]);
    expect(await findings("sqlite", "create table t (id integer primary key, Note text)", ["NOTE"])).toEqual([]);
  });

  test("defaults of domains, identities and generated columns do", async () => {
    const schema = `create domain tag as text not null default 'x';
      create table t (id int primary key, tagged tag, n bigint generated always as identity, g text not null generated always as ('y') stored)`;
    expect(await findings("postgres", schema, ["tagged", "n", "g"])).toEqual([]);
  });
});

test("a column that only some nodes have stays there; one that no node has is an error, as another would travel in its place", async () => {
  const hub = await postgresNode("hub", "create table public.item (id bigint primary key, a text, note text)");
  const store = await sqliteNode("store", "create table item (id integer primary key, a text)");
  open.push(hub, store);
  const nodes = new Map([hub, store].map(({ node }) => [nodeName(node.name), { node }]));
  const planned = async (column: string, only: readonly string[] = ["hub", "store"]) => {
    const text = `{ version: 1, name: t, nodes: [ { name: hub, type: postgres, url: postgres://db/t }, { name: store, type: sqlite, path: t.db } ],
      channels: [ { name: all, tables: [ { name: item, exclude: [${column}] } ] } ], links: [ { parent: hub, child: store, channels: [all] } ] }`;
    const loaded = parseTopology(text, { file: "/t.yaml", env: {}, readFile: () => "" });
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    const { topology } = loaded;
    const configs = topology.nodes.filter(({ name }) => only.includes(name));
    return planExit(await planNodes(topology, configs, nodes));
  };
  expect(await planned("note")).toBe(0);
  expect(await planned("nto")).toBe(2);
  expect(await planned("nto", ["store"])).toBe(0);
  await hub.node.installation.apply(wanted([ITEM], "postgres"));
  await store.node.installation.apply(wanted([ITEM], "sqlite"));
  const link = testLink(hub.node, store.node, [ITEM]);
  await hub.write("insert into public.item values (1, 'x', 'hub')");
  await store.write("insert into item values (2, 'x')");
  await link.settle();
  expect(await hub.rows("select * from public.item order by id")).toEqual([
    ["1", "x", "hub"],
    ["2", "x", null],
  ]);
  expect(await store.rows("select * from item order by id")).toEqual([
    ["1", "x"],
    ["2", "x"],
  ]);
  // it comes to be there later, and stays there from its first value on
  await store.write("alter table item add column note text; update item set note = 'store'");
  expect(await store.node.installation.verify()).toEqual([]);
  expect(await link.settle()).toMatchObject({ sent: 0, received: 0, parked: 0 });
});

test("columns whose unique keys make room by REPLACE stay at home, and the rows that go are told", async () => {
  const schema = "create table item (id integer primary key, a text, code text unique)";
  const table: TestTable = { name: "item", exclude: ["CODE"] };
  const child = await sqliteNode("store", schema, [table]);
  const parent = await postgresNode("hub", "create table public.item (id bigint primary key, a text)", [table]);
  open.push(child, parent);
  const link = testLink(parent.node, child.node, [table]);
  await child.write("insert into item values (1, 'x', 'one'), (2, 'x', 'two'), (3, 'x', 'three')");
  await link.settle();
  await child.write("update or replace item set code = 'one' where id = 2");
  await child.write("insert or replace into item values (3, 'y', 'three')");
  await link.settle();
  expect(await parent.rows("select * from item order by id")).toEqual([
    ["2", "x"],
    ["3", "y"],
  ]);
  await parent.write("update item set a = 'z'");
  await link.settle();
  expect(await child.rows("select * from item order by id")).toEqual([
    ["2", "z", "one"],
    ["3", "z", "three"],
  ]);
});
