import { afterAll, expect, test, vi } from "vitest";
import { until } from "../helpers/command.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const TABLES = [{ name: "item", policy: "parent_wins" as const }];
const nodes: TestNode[] = [];
afterAll(async () => {
  for (const node of nodes) await node.close();
});

test("a paused link does not run after the news that it must not move, and goes on when it may", async () => {
  const schema = "create table item (id integer primary key, name text)";
  const hub = await postgresNode("hub", schema, TABLES);
  const store = await sqliteNode("store", schema, TABLES);
  nodes.push(hub, store);
  await testLink(hub.node, store.node, TABLES).settle();
  await hub.node.installation.setPaused(store.node.name, true);
  await hub.write("insert into item values (1, 'waits')");
  const looks = vi.spyOn(hub.node.target, "peer");
  const news = vi.spyOn(hub.node.log, "news");
  const stop = new AbortController();
  const running = testLink(hub.node, store.node, TABLES).run(stop.signal);
  await until("it has looked again and again whether it may", () => looks.mock.calls.length > 2);
  expect(news).not.toHaveBeenCalled();
  expect(await store.rows("select id from item")).toEqual([]);
  await hub.node.installation.setPaused(store.node.name, false);
  await until("the row arrives", async () => (await store.rows("select id from item")).length === 1);
  stop.abort();
  await running;
});
