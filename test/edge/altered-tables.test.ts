import { describe, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { edgeWorlds } from "../helpers/edge-world.ts";
import { wanted } from "../helpers/nodes.ts";
import { both, PAIRS } from "../helpers/pair.ts";

const SCHEMA = both("create table item (id bigint primary key, note text); create table other (id bigint primary key)");
const TABLES = [{ name: "item", policy: "child_wins" as const }, { name: "other" }];
const ALL = "select id, note, color from item order by id";
const SIGNAL = new AbortController().signal;

const open = edgeWorlds({ schema: SCHEMA, tables: TABLES });

describe.each(PAIRS)("a %s hub and a %s edge", (hubEngine, edgeEngine) => {
  test("a column that the edge's application adds is captured while its agent goes on, and what has waited for it applies", async () => {
    const world = await open(hubEngine);
    // the clock of an agent that looks at its tables once in a while
    let now = Date.now();
    const store = await world.edge("store", { engine: edgeEngine, now: () => now });
    const sync = async (): Promise<unknown> => {
      now += 10_000;
      return store.edge.sync(SIGNAL);
    };
    await world.database.write("insert into item values (1, 'a')");
    await sync();
    await world.database.write("alter table item add column color text");
    await world.database.node.installation.apply(wanted(TABLES, hubEngine));
    await world.database.write("insert into item values (2, 'b', 'red')");
    expect(await sync()).toMatchObject({ parked: 1 });
    await store.write("alter table item add column color text");
    await sync();
    await store.write("insert into item values (3, 'c', 'green'); update item set color = 'blue' where id = 1");
    await until("what has waited is tried again", async () => {
      await sync();
      return (await store.rows("select 1 from item")).length === 3;
    });
    const rows = [
      ["1", "a", "blue"],
      ["2", "b", "red"],
      ["3", "c", "green"],
    ];
    expect(await store.rows(ALL)).toEqual(rows);
    expect(await world.database.rows(ALL)).toEqual(rows);
  });

  // a SQLite's triggers know the columns that they were made with
  test.skipIf(hubEngine === "sqlite" && edgeEngine === "sqlite")(
    "values of a column that a Postgres wrote before its shape knew of it arrive, once the other has the column",
    async () => {
      const world = await open(hubEngine);
      let now = Date.now();
      const store = await world.edge("store", { engine: edgeEngine, now: () => now });
      const sync = (): Promise<{ parked: number }> => store.edge.sync(SIGNAL) as Promise<{ parked: number }>;
      const [first, second] = hubEngine === "postgres" ? [world.database, store] : [store, world.database];
      await first.write("insert into item values (1, 'a')");
      await sync();
      // neither looks at its tables meanwhile
      await first.write("alter table item add column color text");
      await first.write("insert into item values (2, 'b', 'red'); delete from item where id = 1");
      expect(await sync()).toMatchObject(hubEngine === "postgres" ? { parked: 2 } : { sent: 0 });
      await second.write("alter table item add column color text");
      await world.database.node.installation.apply(wanted(TABLES, hubEngine));
      await until("what has waited is tried again", async () => {
        now += 10_000;
        await sync();
        return (await second.rows("select 1 from item where id = 2")).length === 1;
      });
      expect(await store.rows(ALL)).toEqual([["2", "b", "red"]]);
      expect(await world.database.rows(ALL)).toEqual([["2", "b", "red"]]);
    },
  );

  test.runIf(hubEngine === "postgres")("an edge is filled with a column that the hub's table got since it was installed", async () => {
    const world = await open(hubEngine);
    const store = await world.edge("store", { engine: edgeEngine });
    for (const each of [world.database, store]) await each.write("alter table item add column color text");
    await world.database.write("insert into item values (1, 'a', 'red')");
    await store.edge.sync(SIGNAL);
    expect(await store.rows(ALL)).toEqual([["1", "a", "red"]]);
  });

  test("a table that is gone at the edge does not stop the others", async () => {
    const world = await open(hubEngine);
    let now = Date.now();
    const store = await world.edge("store", { engine: edgeEngine, now: () => now });
    await world.database.write("insert into item values (1, 'a')");
    await store.edge.sync(SIGNAL);
    await store.write("drop table item");
    await world.database.write("insert into other values (1)");
    now += 10_000;
    await store.edge.sync(SIGNAL);
    expect(await store.rows("select id from other")).toEqual([["1"]]);
  });
});
