import pg from "pg";
import { afterAll, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const TABLES = [
  { name: "counter", policy: "parent_wins" as const },
  { name: "item", policy: "parent_wins" as const },
];
const SCHEMA = "create table counter (id integer primary key, n integer); create table item (id integer primary key, name text)";
const nodes: TestNode[] = [];
afterAll(async () => {
  for (const node of nodes) await node.close();
});

test("where an application and a packet wait for each other, it is not the application whose transaction ends", async () => {
  const hub = await postgresNode("hub", SCHEMA, TABLES);
  const store = await sqliteNode("store", SCHEMA, TABLES);
  nodes.push(hub, store);
  await hub.write("insert into counter values (1, 0); insert into item values (1, 'goes')");
  const link = testLink(hub.node, store.node, TABLES);
  await link.settle();
  // to tell the store that its row is gone, the packet needs the table to be quiet for a moment
  await hub.write("delete from item where id = 1");
  await store.write("update counter set n = 5; update item set name = 'changed'");
  const [application, looker] = [
    new pg.Client({ connectionString: hub.database.url }),
    new pg.Client({ connectionString: hub.database.url }),
  ];
  await Promise.all([application.connect(), looker.connect()]);
  try {
    await application.query("set deadlock_timeout = '150ms'; begin; insert into item values (2, 'by the application')");
    const settling = link.settle().catch((error: unknown) => error);
    await until("the packet holds the counter's row", async () => {
      try {
        await looker.query("select from counter where id = 1 for update nowait");
        return false;
      } catch (error) {
        return (error as { code?: string }).code === "55P03";
      }
    });
    await application.query("update counter set n = n + 1 where id = 1");
    await application.query("commit");
    await settling;
  } finally {
    await Promise.all([application.end(), looker.end()]);
  }
  await link.settle();
  expect(await store.rows("select id, name from item")).toEqual(await hub.rows("select id, name from item"));
  expect(await store.rows("select id from item")).toHaveLength(1);
});

test("a packet that has waited for an application's row for long gives way once that application waits for the packet", async () => {
  const hub = await postgresNode("hub", SCHEMA, TABLES);
  const store = await sqliteNode("store", SCHEMA, TABLES);
  nodes.push(hub, store);
  await hub.write("insert into counter values (1, 0), (2, 0)");
  const link = testLink(hub.node, store.node, TABLES);
  await link.settle();
  await store.write("update counter set n = 5 where id = 1; update counter set n = 6 where id = 2");
  const [application, looker] = [
    new pg.Client({ connectionString: hub.database.url }),
    new pg.Client({ connectionString: hub.database.url }),
  ];
  await Promise.all([application.connect(), looker.connect()]);
  try {
    await application.query("begin; update counter set n = 7 where id = 2");
    const settling = link.settle().catch((error: unknown) => error);
    // past deadlock_timeout the server does not look at the packet's wait again: whoever waits after it would be ended
    await until("the packet has waited for longer than deadlock_timeout", async () => {
      const { rowCount } = await looker.query(
        `select from pg_locks join pg_stat_activity using (pid)
          where datname = current_database() and not granted and clock_timestamp() - waitstart > 1.3 * current_setting('deadlock_timeout')::interval`,
      );
      return rowCount !== 0;
    });
    await application.query("update counter set n = 7 where id = 1");
    await application.query("commit");
    expect(await settling).toMatchObject({ code: "APPLY_GAVE_WAY", kind: "retry" });
  } finally {
    await Promise.all([application.end(), looker.end()]);
  }
  await link.settle();
  expect(await hub.rows("select id, n from counter order by id")).toEqual(await store.rows("select id, n from counter order by id"));
  expect(await hub.rows("select n from counter")).toEqual([["7"], ["7"]]);
});
