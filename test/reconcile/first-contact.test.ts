import { expect, test } from "vitest";
import { firstContact } from "../../replicator/reconcile/first-contact.ts";
import { testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, type Engine, historyTable, nodeOf } from "../helpers/pair.ts";

closeAfterEach();

const SCHEMA = both("create table item (id bigint primary key, name text); create table tag (name text not null primary key, n integer)");
const TABLES = [{ name: "item" }, { name: "tag" }];
const PAIRS: readonly [Engine, Engine][] = [
  ["postgres", "postgres"],
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
  ["sqlite", "sqlite"],
];

test.each(PAIRS)(
  "%s above %s: what both hold before anything has travelled is counted, and once it has there is nothing to tell",
  async (above, below) => {
    const parent = await nodeOf(above, "hub", SCHEMA, TABLES);
    const child = await nodeOf(below, "store", SCHEMA, TABLES);
    const [up, down] = [above, below].map((engine) => (engine === "postgres" ? "public." : ""));
    // one differs, two are equal; the tags sort by text, so they are compared in another order
    await parent.write(`insert into ${up}item values (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')`);
    await child.write(`insert into ${down}item values (2, 'two'), (3, 'drei'), (4, 'four'), (5, 'five'), (6, 'six')`);
    await parent.write(`insert into ${up}tag values ('a', 1), ('b', 2)`);
    await child.write(`insert into ${down}tag values ('b', 2), ('c', 3)`);
    const link = testLink(parent.node, child.node, TABLES);

    const counts = { direction: "both", isPartial: false };
    expect((await firstContact(link.ends)).map(({ table, ...rest }) => [table.split(".").at(-1), rest])).toEqual([
      ["item", { ...counts, equal: 2, differing: 1, onlyParent: 1, onlyChild: 2 }],
      ["tag", { ...counts, equal: 1, differing: 0, onlyParent: 1, onlyChild: 1 }],
    ]);

    await link.settle();
    expect(await firstContact(link.ends)).toEqual([]);
    // what was told of before has become of it: equal everywhere, and the one that differed is in the history with both
    const rows = await parent.rows(`select id, name from ${up}item order by id`);
    expect(rows).toHaveLength(6);
    expect(await child.rows(`select id, name from ${down}item order by id`)).toEqual(rows);
    expect(await parent.rows(`select count(*) from ${historyTable(parent)}`)).toEqual([["1"]]);
  },
);

test("a child without rows has nothing to tell of, and large tables are counted as far as time allows", async () => {
  const parent = await nodeOf("postgres", "hub", SCHEMA, TABLES);
  const child = await nodeOf("sqlite", "store", SCHEMA, TABLES);
  await parent.write("insert into public.item select n, 'x' from generate_series(1, 200000) n");
  const link = testLink(parent.node, child.node, TABLES);
  expect(await firstContact(link.ends)).toEqual([]);
  await child.write("insert into item values (1, 'x')");
  const [item] = await firstContact(link.ends, { budgetMs: 0 });
  expect(item).toMatchObject({ equal: 1, isPartial: true });
  expect(item?.onlyParent).toBeLessThan(200_000);
});
