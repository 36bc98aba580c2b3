import { describe, expect, test } from "vitest";
import { drift } from "../helpers/drift.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { type TestNode, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, historyTable, nodeOf, PAIRS } from "../helpers/pair.ts";

const SCHEMA = both("create table product (id bigint primary key, name text, region text)");
const TABLES = [{ name: "product" }];
const ALL = "select id, name, region from product order by id";

closeAfterEach();

describe.each(PAIRS)("a push to %s from %s", (above, below) => {
  const open = async (tables = TABLES): Promise<{ parent: TestNode; child: TestNode }> => ({
    parent: await nodeOf(above, "hub", SCHEMA, tables),
    child: await nodeOf(below, "store", SCHEMA, tables),
  });
  const same = async (parent: TestNode, child: TestNode): Promise<(string | null)[][]> => {
    const rows = await parent.rows(ALL);
    expect(await child.rows(ALL)).toEqual(rows);
    return rows;
  };

  test("gives an empty parent what the child has, and the link goes on from there", async () => {
    const { parent, child } = await open();
    await child.write("insert into product values (1, 'a', 'n'), (2, 'b', 's'), (3, null, 'n')");
    const result = await syncFully(parent.node, child.node, TABLES, { direction: "push" });
    expect(result).toMatchObject({ state: "done", source: "store", target: "hub", rows: 3 });
    await same(parent, child);
    const link = testLink(parent.node, child.node, TABLES);
    expect(await link.settle()).toMatchObject({ conflicts: 0, parked: 0 });
    await parent.write("update product set name = 'from above' where id = 1");
    await child.write("update product set name = 'from below' where id = 2; delete from product where id = 3");
    await link.settle();
    expect(await same(parent, child)).toEqual([
      ["1", "from above", "n"],
      ["2", "from below", "s"],
    ]);
  });

  test("takes the parent over, keeps what it replaces, and leaves what the child has not heard of", async () => {
    const { parent, child } = await open();
    await parent.write("insert into product values (1, 'a', 'n'), (2, 'b', 's'), (3, 'c', 'n'), (4, 'd', 'n')");
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await drift(
      parent,
      "update product set name = 'drifted' where id = 1; delete from product where id = 2; insert into product values (9, 'only above', 'n')",
    );
    await parent.write("update product set name = 'not received yet' where id = 3; insert into product values (5, 'new above', 'n')");
    await child.write("update product set region = 'w' where id = 4");
    const result = await syncFully(parent.node, child.node, TABLES, { direction: "push" });
    expect(result.receipt?.applied).toMatchObject({ insert: 1 + 1, delete: 1 });
    expect(await parent.rows(`select kind, resolution, resolved_by from ${historyTable(parent)} order by kind`)).toEqual([
      ["insert_insert", "child", "full-sync"],
      ["insert_insert", "child", "full-sync"],
      ["update_delete", "child", "full-sync"],
    ]);
    expect(await link.settle()).toMatchObject({ conflicts: 0, parked: 0 });
    expect(await same(parent, child)).toEqual([
      ["1", "a", "n"],
      ["2", "b", "s"],
      ["3", "not received yet", "n"],
      ["4", "d", "w"],
      ["5", "new above", "n"],
    ]);
  });

  test("leaves the rows alone that are not the child's", async () => {
    const tables = [{ name: "product", filter: "region = :region" }];
    const { parent, child } = await open(tables);
    await parent.write("insert into product values (1, 'a', 'n'), (2, 'b', 's')");
    const params = { region: "n" };
    const link = testLink(parent.node, child.node, tables, { params });
    await link.settle();
    await drift(
      child,
      "insert into product values (3, 'only below', 'n'); delete from product where id = 1; insert into product values (7, 'not its own', 's')",
    );
    await syncFully(parent.node, child.node, tables, { direction: "push", link: { params } });
    expect(await parent.rows(ALL)).toEqual([
      ["2", "b", "s"],
      ["3", "only below", "n"],
    ]);
  });

  test("tells the other children of the parent", async () => {
    const { parent, child } = await open();
    const other = await nodeOf("sqlite", "other", SCHEMA, TABLES);
    const links = [testLink(parent.node, child.node, TABLES), testLink(parent.node, other.node, TABLES)];
    await parent.write("insert into product values (1, 'a', 'n'), (2, 'b', 's')");
    for (const link of links) await link.settle();
    await drift(
      child,
      "update product set name = 'true' where id = 1; delete from product where id = 2; insert into product values (3, 'c', 'n')",
    );
    await syncFully(parent.node, child.node, TABLES, { direction: "push" });
    for (const link of links) await link.settle();
    expect(await same(parent, child)).toEqual([
      ["1", "true", "n"],
      ["3", "c", "n"],
    ]);
    await same(parent, other);
  });
});
