import { describe, expect, test } from "vitest";
import { testLink } from "../helpers/nodes.ts";
import { closeAfterEach, type Engine, nodeOf, pairOf, parkedAt, type Schema } from "../helpers/pair.ts";

closeAfterEach();

const ENGINES: readonly (readonly [Engine, Engine])[] = [
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
  ["sqlite", "postgres"],
];

/** Customers with orders with items; `rules` has the foreign keys and the unique e-mail. */
function shop(rules: "all" | "foreign keys" | "unique" | "none"): Schema {
  const keys = rules === "all" || rules === "foreign keys";
  const refers = (table: string): string => (keys ? ` references ${table}` : "");
  const ddl = `create table customer (id bigint primary key, email text${rules === "all" || rules === "unique" ? " unique" : ""});
    create table purchase (id bigint primary key, customer bigint not null${refers("customer")}, note text);
    create table item (id bigint primary key, purchase bigint not null${refers("purchase")}, qty bigint)`;
  return { postgres: ddl, sqlite: ddl.replaceAll("bigint primary key", "integer primary key") };
}
// referring tables first: the order of the topology must not matter
const TABLES = [{ name: "item" }, { name: "purchase" }, { name: "customer" }];
/** For a role that owns nothing but its schema: its foreign keys act at a child, too. */
const owned = ({ postgres, sqlite }: Schema): Schema => ({ postgres: `create schema shop; set search_path = shop; ${postgres}`, sqlite });
const OWNED = TABLES.map(({ name }) => ({ name: `shop.${name}` }));
const EVERYTHING = ["customer", "purchase", "item"].map((table) => `select * from ${table} order by id`);

describe.each(ENGINES)("a %s parent, a %s child", (above, below) => {
  const engines = [above, below] as const;

  test("rows that refer to a refused row wait with it, three levels deep, and follow it when it is mended", async () => {
    const { parent, child, settle, parked, expectSame } = await pairOf(engines, shop("all"), TABLES, { childSchema: shop("foreign keys") });
    await parent.write("insert into customer values (1, 'ann@x')");
    await settle();
    await child.write(`insert into customer values (2, 'ann@x'), (3, 'cyd@x'); insert into purchase values (20, 2, 'of the loser'), (30, 3, 'fine');
      insert into item values (200, 20, 1), (201, 20, 2), (300, 30, 3)`);
    expect(await settle()).toMatchObject({ sent: 3, parked: 4 });
    expect((await parked("parent")).map(({ table, code }) => `${table} ${code}`).sort()).toEqual([
      "customer UNIQUE_VIOLATION",
      "item FOREIGN_KEY_VIOLATION",
      "item FOREIGN_KEY_VIOLATION",
      "purchase FOREIGN_KEY_VIOLATION",
    ]);
    expect((await parked("parent")).find(({ table }) => table === "purchase")?.reason).toMatch(/\(customer\).*not there/);
    // edits of what waits are taken along
    await child.write("update purchase set note = 'edited meanwhile' where id = 20; update customer set email = 'ann2@x' where id = 2");
    expect(await settle()).toMatchObject({ parked: 0 });
    expect(await parked("parent")).toEqual([]);
    for (const select of EVERYTHING) await expectSame(select);
    expect(await parent.rows("select note from purchase where id = 20")).toEqual([["edited meanwhile"]]);
  });

  test("where only the child's database has the foreign keys, what refers to a refused row waits all the same", async () => {
    const { parent, child, settle, parked, expectSame } = await pairOf(engines, shop("unique"), TABLES, {
      childSchema: shop("foreign keys"),
    });
    await parent.write("insert into customer values (1, 'ann@x')");
    await settle();
    await child.write("insert into customer values (2, 'ann@x'), (3, 'cyd@x'); insert into purchase values (20, 2, 'a'), (30, 3, 'b')");
    await child.write("insert into item values (200, 20, 1), (300, 30, 3)");
    expect(await settle()).toMatchObject({ sent: 3, parked: 3 });
    // also what comes later
    await child.write("insert into purchase values (21, 2, 'later'); insert into item values (210, 21, 1)");
    expect(await settle()).toMatchObject({ sent: 0, parked: 2 });
    expect((await parked("parent")).filter(({ code }) => code === "FOREIGN_KEY_VIOLATION")).toHaveLength(4);
    expect(await parent.rows("select count(*) from item")).toEqual([["1"]]);
    await parent.write("delete from customer where id = 1");
    await settle();
    expect(await parked("parent")).toEqual([]);
    for (const select of EVERYTHING) await expectSame(select);
  });

  test("a row whose parent row was deleted meanwhile waits, and goes through when that row is there again", async () => {
    const { parent, child, settle, parked } = await pairOf(engines, shop("all"), TABLES, { childSchema: shop("none") });
    await parent.write("insert into customer values (1, 'ann@x')");
    await settle();
    await child.write("insert into purchase values (10, 1, 'late')");
    await parent.write("delete from customer where id = 1");
    expect(await settle()).toMatchObject({ parked: 1 });
    expect(await parked("parent")).toMatchObject([{ table: "purchase", op: "I", code: "FOREIGN_KEY_VIOLATION" }]);
    await parent.write("insert into customer values (1, 'ann@y')");
    await settle();
    expect(await parked("parent")).toEqual([]);
    expect(await parent.rows("select id, customer, note from purchase")).toEqual([["10", "1", "late"]]);
  });

  test("a child's delete of a row that others refer to at the parent waits until they are gone", async () => {
    const { parent, child, settle, parked, expectSame } = await pairOf(engines, shop("all"), TABLES, { childSchema: shop("none") });
    await parent.write("insert into customer values (1, 'ann@x')");
    await settle();
    await parent.write("insert into purchase values (10, 1, 'in the way')");
    await child.write("delete from customer where id = 1");
    expect(await settle()).toMatchObject({ parked: 1 });
    const [waiting] = await parked("parent");
    expect(waiting).toMatchObject({ table: "customer", op: "D", code: "FOREIGN_KEY_VIOLATION" });
    expect(waiting?.reason).toMatch(/still refer to it/);
    await parent.write("delete from purchase where id = 10");
    await settle();
    expect(await parked("parent")).toEqual([]);
    for (const select of EVERYTHING) expect(await expectSame(select)).toEqual([]);
  });

  test("a tree that refers to itself comes in any order, also across parts, with one bad row in it", async () => {
    const ddl = "create table leaf (id bigint primary key, above bigint references leaf, note text)";
    const schema: Schema = {
      postgres: `${ddl}; alter table leaf add check (note <> 'bad')`,
      sqlite: "create table leaf (id integer primary key, above bigint references leaf, note text check (note <> 'bad'))",
    };
    const none: Schema = { postgres: ddl, sqlite: ddl.replace("bigint primary", "integer primary") };
    const { parent, child, settle, parked, expectSame } = await pairOf(engines, schema, [{ name: "leaf" }], {
      childSchema: none,
      maxRows: 150,
    });
    // each refers to the next; row 399 is bad, and nothing hangs on it
    const rows = Array.from({ length: 399 }, (_, id) => `(${id}, ${id === 398 ? "null" : id + 1}, 'fine')`);
    const insert = (values: string): string =>
      below === "postgres" ? `insert into leaf values ${values}` : `pragma defer_foreign_keys = on; insert into leaf values ${values}`;
    await child.write(`${insert([...rows].join(", "))}; insert into leaf values (399, 0, 'bad')`);
    expect(await settle()).toMatchObject({ sent: 399, parked: 1 });
    expect(await parked("parent")).toMatchObject([{ op: "I", code: "CHECK_VIOLATION" }]);
    await child.write("update leaf set note = 'good' where id = 399");
    await settle();
    expect(await parked("parent")).toEqual([]);
    expect(await parent.rows("select count(*) from leaf")).toEqual([["400"]]);
    await expectSame("select id, above, note from leaf order by id");
  });

  test("rows of two tables that refer to each other come in, though no foreign key here is deferred", async () => {
    const schema: Schema = {
      postgres: `create table team (id bigint primary key, captain bigint); create table player (id bigint primary key, team bigint not null references team);
        alter table team add foreign key (captain) references player`,
      sqlite: `create table team (id integer primary key, captain bigint references player);
        create table player (id integer primary key, team bigint not null references team)`,
    };
    const { parent, child, settle, parked, expectSame } = await pairOf(engines, schema, [{ name: "team" }, { name: "player" }]);
    await child.write(`insert into team values (1, null), (2, null); insert into player values (10, 1), (20, 2);
      update team set captain = 10 where id = 1; update team set captain = 20 where id = 2`);
    expect(await settle()).toMatchObject({ parked: 0 });
    expect(await parked("parent")).toEqual([]);
    await parent.write("insert into team values (3, null); insert into player values (30, 3); update team set captain = 30 where id = 3");
    await settle();
    expect(await parked("child")).toEqual([]);
    expect(await expectSame("select id, captain from team order by id")).toHaveLength(3);
    expect(await expectSame("select id, team from player order by id")).toHaveLength(3);
  });
});

describe("what a parent sends", () => {
  test.each(["postgres", "sqlite"] as const)(
    "waits at a %s child that refuses it, and follows when the child's own row makes room",
    async (below) => {
      const { parent, child, settle, parked, expectSame } = await pairOf(["postgres", below], owned(shop("all")), OWNED, {
        bareRole: true,
      });
      await child.write("insert into customer values (5, 'ann@x'); insert into purchase values (50, 5, 'ours')");
      await parent.write("insert into customer values (1, 'ann@x'); insert into purchase values (10, 1, 'theirs')");
      await settle();
      // the child's lost against the parent's, and the parent's cannot come in while the child's is there
      expect((await parkedAt(parent)).map(({ table }) => table).sort()).toEqual(["shop.customer", "shop.purchase"]);
      expect((await parked("child")).map(({ table, code }) => `${table} ${code}`).sort()).toEqual([
        "shop.customer UNIQUE_VIOLATION",
        "shop.purchase FOREIGN_KEY_VIOLATION",
      ]);
      await parent.write("update purchase set note = 'theirs, edited' where id = 10");
      await child.write("update customer set email = 'ann5@x' where id = 5");
      await settle();
      expect(await parked("parent")).toEqual([]);
      expect(await parked("child")).toEqual([]);
      for (const select of EVERYTHING) await expectSame(select);
      expect(await parent.rows("select id, note from purchase order by id")).toEqual([
        ["10", "theirs, edited"],
        ["50", "ours"],
      ]);
    },
  );
});

describe.each(["postgres", "sqlite"] as const)("two edges below a %s hub", (above) => {
  test("insert the same e-mail offline, with rows three levels deep: one loses, nothing is deleted, and all agree once the loser is mended", async () => {
    const hub = await nodeOf(above, "hub", owned(shop("all")), OWNED);
    const edges = [
      await nodeOf("sqlite", "north", owned(shop("all")), OWNED),
      await nodeOf(above, "south", owned(shop("all")), OWNED, { bareRole: true }),
    ];
    const links = edges.map((edge) => testLink(hub.node, edge.node, OWNED));
    const settle = async (): Promise<void> => {
      for (let round = 0; round < 4; round++) for (const link of links) await link.settle();
    };
    await settle();
    for (const [at, edge] of edges.entries()) {
      const id = at + 1;
      await edge.write(`insert into customer values (${id}, 'same@x'), (${id + 10}, 'own${id}@x');
        insert into purchase values (${id}0, ${id}, 'p${id}'), (${id}5, ${id + 10}, 'q${id}'); insert into item values (${id}00, ${id}0, ${id}), (${id}50, ${id}5, ${id})`);
    }
    await settle();
    expect((await parkedAt(hub)).map(({ table }) => table).sort()).toEqual(["shop.customer", "shop.item", "shop.purchase"]);
    expect(await hub.rows("select id, email from customer order by id")).toEqual([
      ["1", "same@x"],
      ["11", "own1@x"],
      ["12", "own2@x"],
    ]);
    // nothing of the loser's is gone at home
    expect(await (edges[1] as (typeof edges)[number]).rows("select count(*) from item where id in (200, 250)")).toEqual([["2"]]);
    await (edges[1] as (typeof edges)[number]).write("update customer set email = 'other@x' where id = 2");
    await settle();
    for (const node of [hub, ...edges]) expect(await parkedAt(node)).toEqual([]);
    for (const select of EVERYTHING) {
      const rows = await hub.rows(select);
      for (const edge of edges) expect(await edge.rows(select)).toEqual(rows);
    }
    expect(await hub.rows("select count(*) from item")).toEqual([["4"]]);
  });
});
