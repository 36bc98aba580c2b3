import { afterEach, describe, expect, test } from "vitest";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});
const keep = <T extends TestNode>(node: T): T => {
  open.push(node);
  return node;
};

/** A Postgres parent and a child of each engine, filled and at rest. */
async function pair(
  engine: "postgres" | "sqlite",
  schema: { postgres: string; sqlite: string },
  tables: readonly TestTable[],
  options: { bareRole?: boolean } = {},
) {
  const hub = keep(await postgresNode("hub", schema.postgres, tables, options));
  const child = keep(
    engine === "postgres"
      ? await postgresNode("child", schema.postgres, tables, options)
      : await sqliteNode("child", schema.sqlite, tables),
  );
  const link = testLink(hub.node, child.node, tables);
  await link.settle();
  return { hub, child, link, name: (table: string) => (engine === "postgres" ? `public.${table}` : table) };
}

for (const engine of ["postgres", "sqlite"] as const) {
  describe(`into a ${engine} child`, () => {
    const simple = {
      postgres:
        "create schema if not exists public; create table public.item (id bigint primary key, name text unique, parent bigint references public.item)",
      sqlite: "create table item (id integer primary key, name text unique, parent integer references item)",
    };
    const ITEM: TestTable[] = [{ name: "item" }];
    const all = "select id, name, parent from item order by id";

    test("a key that changes, keys that are swapped, and a chain of keys arrive as they are", async () => {
      const { hub, child, link } = await pair(engine, simple, ITEM);
      await hub.write("insert into public.item select i, 'n' || i from generate_series(1, 100) i");
      await link.settle();
      await hub.write(
        "update public.item set id = -id where id <= 2; update public.item set id = case id when -1 then 2 else 1 end where id < 0",
      );
      await hub.write("update public.item set id = id + 1000 where id > 50");
      await link.settle();
      expect(await child.rows(all)).toEqual(await hub.rows("select id, name, parent from public.item order by id"));
    });

    test("a unique value that moves to another row in one transaction arrives", async () => {
      const { hub, child, link } = await pair(engine, simple, ITEM);
      await hub.write("insert into public.item values (1, 'taken'), (2, 'other')");
      await link.settle();
      await hub.write("update public.item set name = 'free' where id = 1; update public.item set name = 'taken' where id = 2");
      await hub.write("delete from public.item where id = 2; insert into public.item values (3, 'taken')");
      expect(await link.settle()).toMatchObject({ parked: 0 });
      expect(await child.rows(all)).toEqual(await hub.rows("select id, name, parent from public.item order by id"));
    });

    test("rows that refer to each other arrive in any order, and a cascade does not run twice", async () => {
      const schema = {
        postgres:
          "create table public.box (id bigint primary key); create table public.thing (id bigint primary key, box bigint not null references public.box on delete cascade)",
        sqlite:
          "create table box (id integer primary key); create table thing (id integer primary key, box integer not null references box on delete cascade)",
      };
      const tables = [{ name: "thing" }, { name: "box" }];
      const { hub, child, link } = await pair(engine, schema, tables);
      await hub.write(
        "insert into public.box select generate_series(1, 20); insert into public.thing select i, i % 20 + 1 from generate_series(1, 200) i",
      );
      expect(await link.settle()).toMatchObject({ received: 220, parked: 0 });
      await hub.write(
        "update public.thing set box = 2 where box = 1; delete from public.box where id = 1; delete from public.box where id = 3",
      );
      expect(await link.settle()).toMatchObject({ parked: 0 });
      for (const table of ["box", "thing"]) {
        expect(await child.rows(`select * from ${engine === "postgres" ? "public." : ""}${table} order by id`)).toEqual(
          await hub.rows(`select * from public.${table} order by id`),
        );
      }
    });

    test("a parent's truncate empties the child but for rows that it has not sent yet; a child's truncate never empties the parent", async () => {
      const { hub, child, link, name } = await pair(engine, simple, ITEM);
      await hub.write("insert into public.item values (1, 'one'), (2, 'two')");
      await link.settle();
      await hub.write("truncate public.item; insert into public.item values (7, 'seven')");
      await link.settle();
      expect(await child.rows(`select id from ${name("item")} order by id`)).toEqual([["7"]]);
      if (engine === "postgres") {
        await child.write("truncate public.item");
        expect(await link.settle()).toMatchObject({ parked: 1 });
        expect(await hub.rows("select id from public.item")).toEqual([["7"]]);
      }
    });

    test("a transaction held open across many batches arrives whole when it commits, and holds back nobody", async () => {
      const { hub, child, link, name } = await pair(engine, simple, ITEM);
      await hub.rows("begin");
      await hub.rows("insert into public.item values (1, 'held open')");
      const other = await import("pg").then(
        ({ default: pg }) => new pg.Client({ connectionString: (hub as unknown as { database: { url: string } }).database.url }),
      );
      await other.connect();
      for (let id = 2; id < 7; id++) {
        await other.query(`insert into public.item values (${id}, 'n${id}')`);
        await link.settle();
        expect((await child.rows(`select max(id) from ${name("item")}`)).flat()).toEqual([String(id)]);
      }
      await other.end();
      await hub.rows("commit");
      await link.settle();
      expect((await child.rows(`select count(*) from ${name("item")}`)).flat()).toEqual(["6"]);
    });

    test("thousands of changes of one transaction travel in many parts and are applied in one piece", async () => {
      const hub = keep(await postgresNode("hub", simple.postgres, ITEM));
      const child = keep(
        engine === "postgres" ? await postgresNode("child", simple.postgres, ITEM) : await sqliteNode("child", simple.sqlite, ITEM),
      );
      const link = testLink(hub.node, child.node, ITEM, { maxRows: 300 });
      await link.settle();
      await hub.write(
        "insert into public.item select i, 'n' || i, nullif(i / 2, 0) from generate_series(1, 5000) i; delete from public.item where id > 4000",
      );
      expect(await link.settle()).toMatchObject({ parked: 0 });
      expect(await child.rows(all)).toEqual(await hub.rows("select id, name, parent from public.item order by id"));
    });
  });
}

test("a role that owns only its tables replicates both ways, sequences move on, and an application cannot write unseen", async () => {
  const schema = {
    postgres:
      "create schema shop; create table shop.ticket (id bigint generated always as identity primary key, twice bigint generated always as (id * 2) stored, note text)",
    sqlite: "",
  };
  const tables = [{ name: "shop.ticket" }];
  const { hub, child, link } = await pair("postgres", schema, tables, { bareRole: true });
  await hub.write("insert into shop.ticket (note) select 'n' || i from generate_series(1, 10) i");
  await link.settle();
  // the next number is free on the child, too
  await child.write("insert into shop.ticket (note) values ('from the child')");
  await child.write("select set_config('tombolo.apply', 'on', true); update shop.ticket set note = 'forged' where id = 1");
  expect(await link.settle()).toMatchObject({ sent: 2, parked: 0 });
  expect(await hub.rows("select id, twice, note from shop.ticket where id in (1, 11) order by id")).toEqual([
    ["1", "2", "forged"],
    ["11", "22", "from the child"],
  ]);
  await hub.write("insert into shop.ticket (note) values ('from the hub')");
  expect(await link.settle()).toMatchObject({ received: 1, conflicts: 0 });
});
