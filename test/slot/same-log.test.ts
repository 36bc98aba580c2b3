import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresNode, type TestNode, type TestTable } from "../helpers/nodes.ts";
import { random } from "../helpers/random.ts";

const DDL = `
  create schema shop;
  create table shop.item (id integer primary key, name text, price numeric(10,2), note text, body text);
  create table shop.whole (id integer primary key, a text, b text);
  create table shop.hidden (id integer primary key, a text, secret text, twice integer generated always as (id * 2) stored);
  create table shop.parent (id integer primary key);
  create table shop.child (id integer primary key, parent_id integer references shop.parent on delete cascade on update cascade, up integer references shop.child on delete set null);
  create table shop."Größe ""x'" ("der Schlüssel" text, "teil\\2" integer, "naïve, {col}" text, primary key ("teil\\2", "der Schlüssel"));
  create table shop.typed (id integer primary key, at timestamptz, d date, i interval, f float8, b bytea, m money, x text[], j json, jb jsonb);
  alter table shop.item alter body set storage external;`;

const TABLES: readonly TestTable[] = [
  { name: "shop.item" },
  { name: "shop.whole", detect: "row" },
  { name: "shop.hidden", exclude: ["secret"] },
  { name: "shop.parent" },
  { name: "shop.child" },
  { name: `shop.Größe "x'` },
  { name: "shop.typed" },
];

let triggers: TestNode;
let slot: TestNode;
beforeAll(async () => {
  triggers = await postgresNode("triggers", DDL, TABLES, { capture: "trigger" });
  slot = await postgresNode("slot", DDL, TABLES, { capture: "slot" });
});
afterAll(async () => {
  await triggers.close();
  await slot.close();
});

/** The log by table and key, in order; and how many entries each transaction made. Empty afterwards. */
async function taken(node: TestNode): Promise<unknown> {
  await node.node.log.tick();
  const rows = await node.rows(`
    with gone as (delete from tombolo.change returning *)
    select t.table_name, tombolo.hstore_to_json(g.key)::text, dense_rank() over (order by g.xid), g.op, tombolo.hstore_to_json(g.old)::text,
           tombolo.hstore_to_json(g.new)::text, g.origin::text, g.target::text
      from gone g join tombolo.captured_table t on t.id = g.table_id order by t.table_name, 2, g.seq`);
  return rows;
}

async function both(sql: string): Promise<void> {
  for (const node of [triggers, slot]) await node.write(sql);
}

test("statements of every kind make the same log", async () => {
  await both("insert into shop.item values (1, 'a', 1.50, null, repeat('x', 5000)), (2, 'b', 2, '', null)");
  await both(
    "update shop.item set name = name; update shop.item set price = 1.50 where id = 1; update shop.item set note = 'n' where id = 9",
  );
  await both("update shop.item set note = 'only this' where id = 1");
  await both("update shop.item set id = id + 10, name = 'moved'");
  await both("insert into shop.item values (11, 'c', 3, null, null) on conflict (id) do update set name = excluded.name, body = 'small'");
  await both(
    "savepoint s; delete from shop.item; rollback to s; insert into shop.whole values (1, 'a', 'b'); update shop.whole set a = 'c'",
  );
  await both(
    "insert into shop.hidden values (1, 'a', 's'); update shop.hidden set secret = 't'; update shop.hidden set a = 'b', secret = 'u'",
  );
  await both("insert into shop.parent values (1), (2); insert into shop.child values (1, 1, null), (2, 1, 1), (3, 2, 1)");
  await both("update shop.parent set id = 5 where id = 1");
  await both("delete from shop.child where id = 1; delete from shop.parent");
  const odd = `shop."Größe ""x'"`;
  await both(
    `insert into ${odd} values ('k"\\', 1, '=>,{}'), ('l', 2, 'NULL'); update ${odd} set "naïve, {col}" = null; delete from ${odd}`,
  );
  await both("truncate shop.whole, shop.hidden");
  await both(
    "set local datestyle = 'German'; set local timezone = 'Asia/Tokyo'; set local extra_float_digits = 0; set local bytea_output = 'escape'; set local intervalstyle = 'iso_8601'; insert into shop.typed values (1, '2026-01-02 03:04:05.678901+02', '4713-01-01 BC', '1 mon -2 days 00:00:03.5', 0.1::float8 + 0.2, '\\x00ff', 12.5, '{a,\"b c\",NULL}', '{\"b\": 1,  \"a\": 12345678901234567890}', '{\"b\": 1}')",
  );
  await both(
    "set local session_replication_role = replica; insert into shop.item values (77, 'unseen by ordinary triggers', 1, null, null)",
  );
  expect(await taken(slot)).toEqual(await taken(triggers));
});

test("a thousand random transactions make the same log", async () => {
  const { int, pick, chance } = random(20_261);
  const value = (): string => pick(["null", "''", "'a'", "'b'", `'${int(1000)}'`, `repeat('${pick(["y", "z"])}', ${pick([10, 3000])})`]);
  const id = (): number => int(12);
  const statement = (): string => {
    const column = pick(["name", "note", "body"]);
    return pick([
      () => `insert into shop.item values (${id()}, ${value()}, ${int(5)}, ${value()}, ${value()}) on conflict do nothing`,
      () => `insert into shop.item (id, name) values (${id()}, ${value()}) on conflict (id) do update set ${column} = ${value()}`,
      () => `update shop.item set ${column} = ${value()} where id = ${id()}`,
      () => `update shop.item set ${column} = ${value()}, price = price where id > ${id()}`,
      () => `update shop.item set id = id + 100 where id = ${id()}`,
      () =>
        `update shop.item set id = id - 100 where id = ${100 + id()} and not exists (select from shop.item o where o.id = item.id - 100)`,
      () => `delete from shop.item where id = ${id()}`,
      () => `insert into shop.whole values (${id()}, ${value()}, ${value()}) on conflict (id) do update set b = excluded.b`,
      () => `update shop.whole set a = ${value()} where id <= ${id()}`,
      () => `insert into shop.parent values (${id()}) on conflict do nothing`,
      () =>
        `insert into shop.child select ${id()}, (select min(id) from shop.parent), (select max(id) from shop.child) on conflict do nothing`,
      () => `delete from shop.parent where id = ${id()}`,
      () => (chance(0.1) ? "truncate shop.whole" : "delete from shop.child where id = 1"),
    ])();
  };
  const undone = (): string => `savepoint s; ${statement()}; ${statement()}; rollback to s; ${statement()}`;
  for (let round = 0; round < 1000; round++) {
    const sql = Array.from({ length: 1 + int(4) }, () => (chance(0.2) ? undone() : statement())).join("; ");
    await both(chance(0.1) ? `${sql}; select 1` : sql).catch(() => undefined);
  }
  expect(await taken(slot)).toEqual(await taken(triggers));
});
