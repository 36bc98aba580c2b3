import { describe, expect, test } from "vitest";
import { tableName } from "../../replicator/change/names.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { drift } from "../helpers/drift.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { postgresNode, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, nodeOf, PAIRS } from "../helpers/pair.ts";

const SCHEMA = both(
  "create table box (id bigint primary key, name text); create table item (id bigint primary key, box bigint references box on delete cascade, name text)",
);
const TABLES = [{ name: "box" }, { name: "item" }];
const ITEMS = "select id, box, name from item order by id";

closeAfterEach();

describe.each(PAIRS)("a pull from %s to %s", (above, below) => {
  test("that takes an unsent row along, with the one that it refers to, has it again once the parent has both", async () => {
    const [parent, child] = [await nodeOf(above, "hub", SCHEMA, TABLES), await nodeOf(below, "store", SCHEMA, TABLES)];
    await parent.write("insert into box values (1, 'a'), (2, 'b')");
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await drift(parent, "delete from box where id = 1");
    await child.write("insert into item values (7, 1, 'unsent')");
    await syncFully(parent.node, child.node, TABLES);
    expect(await child.rows(ITEMS)).toEqual([]);
    await parent.write("insert into box values (1, 'made anew')");
    for (let round = 0; round < 3; round++) await link.settle();
    expect(await parent.rows(ITEMS)).toEqual([["7", "1", "unsent"]]);
    expect(await child.rows(ITEMS)).toEqual([["7", "1", "unsent"]]);
  });

  test.each([
    ["both tables", TABLES.map(({ name }) => name)],
    ["the table alone", ["item"]],
  ])("of %s keeps back what refers to a row that was deleted here and is not sent", async (_, tables) => {
    const [parent, child] = [await nodeOf(above, "hub", SCHEMA, TABLES), await nodeOf(below, "store", SCHEMA, TABLES)];
    await parent.write("insert into box values (1, 'a'), (2, 'b')");
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await child.write("delete from box where id = 1");
    await parent.write("insert into item values (7, 1, 'not seen'), (8, 2, 'seen')");
    await syncFully(parent.node, child.node, TABLES, { tables: tables.map((name) => tableName(name)) });
    expect(await child.rows(ITEMS)).toEqual([["8", "2", "seen"]]);
    await link.settle();
    // nothing goes along with a box that the child has deleted without having seen what is in it
    expect(await parent.rows(ITEMS)).toHaveLength(2);
    await parent.write("update item set box = 2 where id = 7");
    for (let round = 0; round < 3; round++) await link.settle();
    expect(await parent.rows("select id from box")).toEqual([["2"]]);
    expect(await child.rows(ITEMS)).toEqual(await parent.rows(ITEMS));
  });
});

test("a pull from a Postgres whose slot another process reads asks it for what it has taken along", async () => {
  const parent = await postgresNode("hub", SCHEMA.postgres, TABLES, { capture: "slot" });
  const child = await nodeOf("postgres", "store", SCHEMA, TABLES);
  const beside = await openPostgresNode({ name: parent.node.name, url: parent.database.url, capture: "slot" });
  try {
    await parent.write("insert into box values (1, 'a'), (2, 'b')");
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await drift(parent, "delete from box where id = 1");
    await child.write("insert into item values (7, 1, 'unsent')");
    expect((await syncFully(beside, child.node, TABLES)).receipt?.wanted).toHaveLength(1);
    await parent.write("insert into box values (1, 'made anew')");
    for (let round = 0; round < 3; round++) await link.settle();
    expect(await child.rows(ITEMS)).toEqual([["7", "1", "unsent"]]);
  } finally {
    await beside.close();
    await parent.close();
  }
});
