import { describe, expect, test } from "vitest";
import { channelName, tableName } from "../../replicator/change/names.ts";
import { drift } from "../helpers/drift.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { type TestNode, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, historyTable, nodeOf, PAIRS } from "../helpers/pair.ts";

const SCHEMA = both(
  "create table product (id bigint primary key, name text, price integer); create table line (id bigint primary key, product_id bigint references product, note text)",
);
const TABLES = [{ name: "product" }, { name: "line" }];
const ALL = "select id, name, price from product order by id";

const rows = (node: TestNode, from: number, to: number, name = "thing"): Promise<void> =>
  node.write(
    node.node.engine === "postgres"
      ? `insert into product select i, '${name} ' || i, i * 2 from generate_series(${from}, ${to}) as i`
      : `insert into product with recursive n(i) as (select ${from} union all select i + 1 from n where i < ${to}) select i, '${name} ' || i, i * 2 from n`,
  );

closeAfterEach();

describe.each(PAIRS)("a pull from %s to %s", (above, below) => {
  const open = async (): Promise<{ parent: TestNode; child: TestNode }> => ({
    parent: await nodeOf(above, "hub", SCHEMA, TABLES),
    child: await nodeOf(below, "store", SCHEMA, TABLES),
  });
  const same = async (parent: TestNode, child: TestNode, select = ALL): Promise<void> =>
    expect(await child.rows(select)).toEqual(await parent.rows(select));

  test("fills an empty child, and the link goes on from there without a fill of its own", async () => {
    const { parent, child } = await open();
    await rows(parent, 1, 1000);
    await parent.write("insert into line values (1, 1, 'a'), (2, 1000, 'tab\ttext\\ and '' more')");
    const result = await syncFully(parent.node, child.node, TABLES, { chunkRows: 300 });
    expect(result).toMatchObject({ state: "done", rows: 1002 });
    expect(result.receipt?.applied.insert).toBe(1002);
    await same(parent, child);
    await same(parent, child, "select * from line order by id");
    const notices: string[] = [];
    const link = testLink(parent.node, child.node, TABLES, {
      observer: { applied() {}, caughtUp() {}, failed() {}, recovered() {}, notice: ({ code }) => void notices.push(code) },
    });
    expect(await link.settle()).toMatchObject({ sent: 0, received: 0, parked: 0 });
    await parent.write("update product set name = 'changed' where id = 7");
    await child.write("update product set name = 'mine' where id = 8");
    await link.settle();
    expect(notices).toEqual([]);
    await same(parent, child);
    expect(await parent.rows("select name from product where id in (7, 8) order by id")).toEqual([["changed"], ["mine"]]);
  });

  test("makes a child that has drifted equal, and keeps what it replaces in the history", async () => {
    const { parent, child } = await open();
    await rows(parent, 1, 50);
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await drift(
      child,
      "update product set name = 'drifted' where id = 3; delete from product where id = 4; insert into product values (99, 'only here', 1)",
    );
    const result = await syncFully(parent.node, child.node, TABLES, { verify: true });
    expect(result.differences).toBe(0);
    expect(result.receipt?.applied).toMatchObject({ insert: 1, update: 1, delete: 1 });
    await same(parent, child);
    expect(await child.rows(`select kind, resolution from ${historyTable(child)} order by kind`)).toEqual([
      ["delete_update", "parent"],
      ["insert_insert", "parent"],
    ]);
    expect(await link.settle()).toMatchObject({ sent: 0, received: 0, conflicts: 0, parked: 0 });
    await same(parent, child);
  });

  test("leaves the child's unsent edits, which are judged afterwards", async () => {
    const { parent, child } = await open();
    await rows(parent, 1, 20);
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await child.write(
      "update product set name = 'mine' where id = 3; insert into product values (50, 'new', 5); delete from product where id = 6",
    );
    await parent.write("update product set price = 77 where id = 3");
    await drift(child, "update product set name = 'drifted' where id = 9");
    await syncFully(parent.node, child.node, TABLES);
    expect(await child.rows("select name, price from product where id = 3")).toEqual([["mine", "77"]]);
    expect(await child.rows("select id from product where id in (6, 50)")).toEqual([["50"]]);
    expect(await link.settle()).toMatchObject({ sent: 3, conflicts: 0 });
    await same(parent, child);
    expect(await parent.rows("select name from product where id in (3, 6, 9, 50) order by id")).toEqual([["mine"], ["thing 9"], ["new"]]);
  });

  test("leaves rows that the child has offered, as the two met, and that the parent has yet to take", async () => {
    const { parent, child } = await open();
    await rows(parent, 1, 5);
    await drift(child, "insert into product values (3, 'mine', 3), (60, 'only here', 6)");
    const tables = TABLES.map(({ name }) => tableName(name));
    await child.node.target.meet([{ name: parent.node.name, role: "parent" }]);
    await parent.node.target.meet([{ name: child.node.name, role: "child" }]);
    const at = await child.node.tables.seed(parent.node.name, tables);
    await parent.node.target.start(child.node.name, channelName("all"), tables, at);
    await syncFully(parent.node, child.node, TABLES);
    expect(await child.rows("select name from product where id in (3, 60) order by id")).toEqual([["thing 3"], ["only here"]]);
    await testLink(parent.node, child.node, TABLES).settle();
    await same(parent, child);
    expect(await parent.rows("select id from product where id = 60")).toEqual([["60"]]);
  });
});
