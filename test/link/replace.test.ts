import { afterEach, expect, test } from "vitest";
import { postgresNode, silent, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

/**
 * A REPLACE claims the whole row until the parent has judged it, also where it changes one column or none: what the parent says of the
 * others meanwhile is held back, so that the parent must hear of all of them.
 */
test.each([
  ["the same values", "'c', 'y'"],
  ["one column changed", "'mine', 'y'"],
])("a REPLACE with %s, while a verdict about the row is on its way, leaves both sides the same", async (_, values) => {
  const table = { name: "item", policy: "child_wins" } as const;
  const parent = await postgresNode("hub", "create table public.item (id bigint primary key, a text, b text)", [table]);
  const child = await sqliteNode("store", "create table item (id integer primary key, a text, b text)", [table]);
  open.push(parent, child);
  let replace = false;
  const link = testLink(parent.node, child.node, [table], {
    observer: {
      ...silent,
      // the change has gone up and was judged; the row that it was judged to be has not come down
      caughtUp({ source }) {
        if (replace && source === "store") void child.write(`insert or replace into item values (1, ${values})`);
        replace &&= source !== "store";
      },
    },
  });
  await parent.write("insert into item values (1, 'x', 'y')");
  await link.settle();
  await parent.write("update item set a = 'p', b = 'p' where id = 1");
  await child.write("update item set a = 'c' where id = 1");
  replace = true;
  await link.settle();
  expect(await child.rows("select * from item")).toEqual(await parent.rows("select * from item"));
});
