import { afterEach, describe, expect, test } from "vitest";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink, wanted } from "../helpers/nodes.ts";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

const SCHEMA = `
  create table public.item (id serial primary key, v text);
  create table public.part (id bigint generated always as identity primary key, item integer references public.item, v text)`;
const TABLES: readonly TestTable[] = [{ name: "item" }, { name: "part" }];

async function node(name: string, stride: number, slot: number): Promise<TestNode> {
  const made = await postgresNode(
    name,
    SCHEMA,
    TABLES.map((table) => ({ ...table, ids: { stride, slot } })),
  );
  open.push(made);
  return made;
}

test("ten nodes that insert by default ids while they are apart never use the same one: nothing conflicts, nothing is parked", {
  timeout: 120_000,
}, async () => {
  const hub = await node("hub", 10, 0);
  const stores = await Promise.all(Array.from({ length: 9 }, (_, at) => node(`store-${at + 1}`, 10, at + 1)));
  const links = stores.map((store) => testLink(hub.node, store.node, TABLES));
  const work = async (round: number): Promise<void> => {
    for (const [at, place] of [hub, ...stores].entries()) {
      // some make many rows, some few, so that their numbers overtake each other's
      for (let row = 0; row <= (at * 7 + round * 5) % 13; row++) {
        await place.write(
          `with made as (insert into item (v) values ('${at} ${round} ${row}') returning id) insert into part (item, v) select id, 'p' from made`,
        );
      }
    }
  };
  await work(0);
  for (let round = 1; round <= 3; round++) {
    for (const link of links) await link.settle();
    await work(round);
  }
  for (let round = 0; round < 2; round++) for (const link of links) await link.settle();
  const rows = await hub.rows("select id, v from item order by id");
  expect(rows).toHaveLength(new Set(rows.map(([, v]) => v)).size);
  expect(rows.length).toBeGreaterThan(200);
  for (const [id, v] of rows) expect(Number(id) % 10).toBe(Number(v?.split(" ")[0]));
  for (const place of [hub, ...stores]) {
    expect(await place.rows("select id, v from item order by id")).toEqual(rows);
    expect(await place.rows("select count(*), (select count(*) from part) from tombolo.conflict_history")).toEqual([
      ["0", String(rows.length)],
    ]);
    expect((await place.node.installation.status()).parkedChanges).toBe(0);
  }
});

describe("rows that come in", () => {
  const TABLE: readonly TestTable[] = [{ name: "item" }];
  async function pair(
    schema: string,
    ids: TestTable["ids"],
    tables = TABLE,
  ): Promise<{ hub: TestNode; store: TestNode; settle(): Promise<unknown> }> {
    const hub = await postgresNode("hub", schema, tables);
    const store = await postgresNode(
      "store",
      schema,
      tables.map((table) => ({ ...table, ids: ids ?? null })),
    );
    open.push(hub, store);
    const link = testLink(hub.node, store.node, tables);
    return { hub, store, settle: () => link.settle() };
  }
  const next = async (store: TestNode, table = "item") => (await store.rows(`insert into ${table} (v) values ('x') returning id`))[0]?.[0];

  test("move the sequence past them, and it keeps its slot", async () => {
    const { hub, store, settle } = await pair("create table public.item (id serial primary key, v text)", { stride: 7, slot: 4 });
    for (const [id, then] of [
      [30, "32"],
      [31, "39"],
      [39 + 7 * 3, "67"],
    ] as const) {
      await hub.write(`insert into item values (${id}, 'h')`);
      await settle();
      expect(await next(store)).toBe(then);
    }
    await store.write("alter sequence item_id_seq restart with 1");
    await hub.write("insert into item values (70, 'h')");
    await settle();
    expect(await next(store)).toBe("74");
  });

  test("move a sequence past the first number, too, and one that two tables use", async () => {
    const schema = `create sequence public.both; create table public.item (id bigint default nextval('public.both') primary key, v text);
      create table public.part (id bigint default nextval('public.both') primary key, v text)`;
    const { hub, store, settle } = await pair(schema, null, TABLES);
    await hub.write("insert into item values (1, 'h')");
    await settle();
    expect(await next(store)).toBe("2");
    await hub.write("insert into part values (10, 'h')");
    await settle();
    expect([await next(store), await next(store, "part")]).toEqual(["11", "12"]);
  });

  test("with the last number there is are applied; who asks for another is told that there is none", async () => {
    for (const ids of [null, { stride: 10, slot: 3 }]) {
      const { hub, store, settle } = await pair("create table public.item (id bigserial primary key, v text)", ids);
      await hub.write("insert into item values (9223372036854775807, 'h')");
      await settle();
      expect(await store.rows("select id from item")).toEqual([["9223372036854775807"]]);
      await expect(next(store)).rejects.toThrow(/maximum value/);
      await hub.write("insert into item values (8, 'h')");
      await settle();
      expect(await store.rows("select count(*) from item")).toEqual([["2"]]);
    }
  });
});

test("rowids of SQLite are told to be what cannot be set apart", async () => {
  const findings = async (schema: string, ids: TestTable["ids"]) => {
    const store = await sqliteNode("store", schema);
    open.push(store);
    const plan = await store.node.installation.plan(wanted([{ name: "item", ids: ids ?? null }], "sqlite"));
    return plan.findings.map(({ severity, code }) => `${severity} ${code}`);
  };
  const ids = { stride: 10, slot: 3 };
  for (const key of ["integer primary key", "integer primary key autoincrement"]) {
    expect(await findings(`create table item (id ${key}, v text)`, null)).toEqual(["warning IDS_COLLIDE"]);
    expect(await findings(`create table item (id ${key}, v text)`, ids)).toEqual(["warning IDS_ROWID"]);
  }
  for (const key of ["text primary key not null", "int primary key not null"]) {
    expect(await findings(`create table item (id ${key}, v text)`, null)).toEqual([]);
    expect(await findings(`create table item (id ${key}, v text)`, ids)).toEqual([]);
  }
});
