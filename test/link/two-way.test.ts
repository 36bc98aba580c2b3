import { afterEach, describe, expect, test } from "vitest";
import type { LinkObserver } from "../../replicator/link/link.ts";
import { postgresNode, silent, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

const TABLES: TestTable[] = [{ name: "shop.orders" }];
const PG = "create schema shop; create table shop.orders (id bigint primary key, customer text, amount numeric(10,2), note text)";
const SQLITE = "create table orders (id integer primary key, customer text, amount numeric, note text)";
const ALL = "select id, customer, note from shop.orders order by id";
const ALL_SQLITE = "select id, customer, note from orders order by id";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});
const keep = <T extends TestNode>(node: T): T => {
  open.push(node);
  return node;
};

for (const engine of ["postgres", "sqlite"] as const) {
  const all = engine === "postgres" ? ALL : ALL_SQLITE;
  const orders = engine === "postgres" ? "shop.orders" : "orders";
  const child = async (): Promise<TestNode> =>
    keep(engine === "postgres" ? await postgresNode("child", PG, TABLES) : await sqliteNode("child", SQLITE, TABLES));

  describe(`a Postgres parent and a ${engine} child`, () => {
    test("a new child is filled, then changes of both sides travel, and nothing echoes", async () => {
      const hub = keep(
        await postgresNode("hub", `${PG}; insert into shop.orders values (1, 'ann', 1.50, 'first'), (2, 'bob', 2, null)`, TABLES),
      );
      const store = await child();
      const link = testLink(hub.node, store.node, TABLES);
      expect(await link.settle()).toMatchObject({ received: 2, conflicts: 0, parked: 0 });
      expect(await store.rows(all)).toEqual(await hub.rows(ALL));

      await hub.write(
        "insert into shop.orders values (3, 'cyd', 3, ''); update shop.orders set note = 'hub' where id = 1; delete from shop.orders where id = 2",
      );
      await store.write(`insert into ${orders} values (4, 'dan', 4, 'store'); update ${orders} set customer = 'anna' where id = 1`);
      expect(await link.settle()).toMatchObject({ sent: 2, received: 3, conflicts: 0, parked: 0 });
      expect(await hub.rows(ALL)).toEqual([
        ["1", "anna", "hub"],
        ["3", "cyd", ""],
        ["4", "dan", "store"],
      ]);
      expect(await store.rows(all)).toEqual(await hub.rows(ALL));
      expect(await link.settle()).toEqual({ sent: 0, received: 0, conflicts: 0, parked: 0 });
    });

    test("one sync ends, though both are written to whenever anything has moved: what was there when it began has moved", async () => {
      const hub = keep(await postgresNode("hub", PG, TABLES));
      const store = await child();
      let [rows, writing] = [0, Promise.resolve()];
      const more = async (): Promise<void> => {
        rows += 1;
        await hub.write(`insert into shop.orders values (${rows}, 'hub', 1, null)`);
        await store.write(`insert into ${orders} values (${1_000_000 + rows}, 'store', 1, null)`);
      };
      const observer: LinkObserver = {
        ...silent,
        applied() {
          writing = writing.then(more);
        },
      };
      const link = testLink(hub.node, store.node, TABLES, { observer });
      await more();
      await link.sync(new AbortController().signal);
      await writing;
      expect(rows).toBeLessThan(100);
      expect((await store.rows(all))[0]).toEqual(["1", "hub", null]);
      expect(await hub.rows("select id from shop.orders where id = 1000001")).toHaveLength(1);
    });

    test("rows that a child holds before its first contact go up and are judged", async () => {
      const hub = keep(await postgresNode("hub", `${PG}; insert into shop.orders values (1, 'ann', 1, 'hub')`, TABLES));
      const store = await child();
      await store.write(`insert into ${orders} values (1, 'ann', 1, 'store'), (9, 'zoe', 9, null)`);
      const link = testLink(hub.node, store.node, TABLES);
      await link.settle();
      expect(await hub.rows(ALL)).toEqual([
        ["1", "ann", "hub"],
        ["9", "zoe", null],
      ]);
      expect(await store.rows(all)).toEqual(await hub.rows(ALL));
      expect(await hub.rows("select kind, resolution, child_row ->> 'note' from tombolo.conflict_history")).toEqual([
        ["insert_insert", "parent", "store"],
      ]);
    });

    test("a row that came from the child and was deleted by the parent before the child was filled is gone from the child, too", async () => {
      const hub = keep(await postgresNode("hub", PG, TABLES));
      const store = await child();
      await store.write(`insert into ${orders} values (1, 'ann', 1, 'a'), (2, 'bob', 2, 'b'), (3, 'cyd', 3, 'c')`);
      await testLink(hub.node, store.node, TABLES, { direction: "up" }).settle();
      await hub.write(
        "delete from shop.orders where id = 1; delete from shop.orders where id = 2; insert into shop.orders values (2, 'again', 2, 'b')",
      );
      // one of them was changed here meanwhile, and loses
      await store.write(`update ${orders} set note = 'late' where id = 1`);
      await testLink(hub.node, store.node, TABLES).settle();
      expect(await hub.rows(ALL)).toEqual([
        ["2", "again", "b"],
        ["3", "cyd", "c"],
      ]);
      expect(await store.rows(all)).toEqual(await hub.rows(ALL));
    });

    test("edits of the same column conflict, the policy decides, both versions are kept, both sides end equal", async () => {
      for (const policy of ["parent_wins", "child_wins", "newest_wins"] as const) {
        const tables: TestTable[] = [{ name: "shop.orders", policy }];
        const hub = keep(await postgresNode("hub", `${PG}; insert into shop.orders values (1, 'ann', 1, 'base')`, tables));
        const store = await child();
        const link = testLink(hub.node, store.node, tables);
        await link.settle();
        await store.write(`update ${orders} set note = 'store' where id = 1`);
        await new Promise((resolve) => setTimeout(resolve, 5));
        await hub.write("update shop.orders set note = 'hub' where id = 1");
        expect(await link.settle()).toMatchObject({ conflicts: 1 });
        const winner = policy === "child_wins" ? "store" : "hub";
        expect(await hub.rows("select note from shop.orders")).toEqual([[winner]]);
        expect(await store.rows(all)).toEqual(await hub.rows(ALL));
        expect(
          await hub.rows(
            "select kind, resolution, base_row ->> 'note', parent_row ->> 'note', child_row ->> 'note', result_row ->> 'note', child_row ->> 'customer' from tombolo.conflict_history",
          ),
        ).toEqual([["update_update", winner === "hub" ? "parent" : "child", "base", "hub", "store", winner, "ann"]]);
      }
    });

    test("a delete against an update: the parent's side stands, the child follows", async () => {
      const hub = keep(await postgresNode("hub", `${PG}; insert into shop.orders values (1, 'ann', 1, 'a'), (2, 'bob', 2, 'b')`, TABLES));
      const store = await child();
      const link = testLink(hub.node, store.node, TABLES);
      await link.settle();
      await store.write(`delete from ${orders} where id = 1; update ${orders} set note = 'store' where id = 2`);
      await hub.write("update shop.orders set note = 'hub' where id = 1; delete from shop.orders where id = 2");
      expect(await link.settle()).toMatchObject({ conflicts: 2 });
      expect(await hub.rows(ALL)).toEqual([["1", "ann", "hub"]]);
      expect(await store.rows(all)).toEqual(await hub.rows(ALL));
      expect((await hub.rows("select kind from tombolo.conflict_history order by kind")).flat()).toEqual([
        "delete_update",
        "update_delete",
      ]);
    });

    test("a poisoned row costs one row: it is parked, and applies by itself when what blocked it is gone", async () => {
      const hub = keep(
        await postgresNode("hub", `${PG}; alter table shop.orders add constraint short check (length(customer) < 10)`, TABLES),
      );
      const store = await child();
      const link = testLink(hub.node, store.node, TABLES);
      await link.settle();
      const values = Array.from({ length: 50 }, (_, id) => `(${id}, '${id === 25 ? "much too long" : "fine"}', 1, null)`);
      await store.write(`insert into ${orders} values ${values.join(", ")}`);
      expect(await link.settle()).toMatchObject({ sent: 49, parked: 1 });
      await store.write(`update ${orders} set note = 'later' where id = 25`);
      expect(await link.settle()).toMatchObject({ parked: 1 });
      expect(await hub.rows("select count(*), min(new ->> 'note') from tombolo.parked_change")).toEqual([["1", "later"]]);
      await hub.write("alter table shop.orders drop constraint short");
      await link.settle();
      expect(await hub.rows("select count(*) from tombolo.parked_change")).toEqual([["0"]]);
      expect(await hub.rows("select customer, note from shop.orders where id = 25")).toEqual([["much too long", "later"]]);
    });
  });
}
