import { afterEach, expect, test } from "vitest";
import { historyKeeper } from "../../replicator/lifecycle/history-keeper.ts";
import { createLogger } from "../../replicator/observability/log.ts";
import { until } from "../helpers/command.ts";
import { handTimers } from "../helpers/hand-timers.ts";
import { postgresNode, sqliteNode, type TestNode } from "../helpers/nodes.ts";

const TABLES = [{ name: "item" }];
const DAY = 86_400_000;
/** What the replicator believes: another time than at the nodes, whose history is counted by their own clocks. */
const BELIEVED = Date.parse("2036-06-01T00:00:00Z");

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

const resolved = (history: string, daysAgo: number): string => {
  const at = new Date(Date.now() - daysAgo * DAY).toISOString();
  return `insert into ${history} (detected_at, table_name, key, kind, policy, resolution, reason, child_node, status, resolved_at)
    values ('${at}', 'item', '{}', 'check', 'p', 'parent', '${daysAgo} days', 'store', 'resolved', '${at}')`;
};

test("a running replicator forgets what was resolved long ago: at once where a node is open, then every hour, by the clocks of the nodes", async () => {
  const hub = await postgresNode("hub", "create table item (id bigint primary key)", TABLES);
  const store = await sqliteNode("store", "create table item (id integer primary key)", TABLES);
  open.push(hub, store);
  const [atHub, atStore] = ["tombolo.conflict_history", "tombolo_conflict_history"];
  const reasons = async (node: TestNode, history: string): Promise<(string | null)[]> =>
    (await node.rows(`select reason from ${history} order by reason`)).flat();
  await hub.write(`${resolved(atHub, 5)}; ${resolved(atHub, 89)}; ${resolved(atHub, 91)}`);
  await store.write(`${resolved(atStore, 5)}; ${resolved(atStore, 91)}`);
  const timers = handTimers(BELIEVED);
  const away = new Set(["store"]);
  let keepDays = 90;
  const keeper = historyKeeper({
    log: await createLogger({ level: "silent", format: "json" }),
    timers,
    keepMs: () => keepDays * DAY,
    names: () => [hub.node.name, store.node.name],
    node: (name) => (away.has(name) ? null : name === "hub" ? hub.node : store.node),
  });
  const stop = new AbortController();
  const running = keeper.run(stop.signal);
  await until("the hub's is forgotten", async () => (await reasons(hub, atHub)).length === 2);
  expect(await reasons(hub, atHub)).toEqual(["5 days", "89 days"]);
  expect(await reasons(store, atStore)).toEqual(["5 days", "91 days"]);
  // the store comes; the hub's turn is over
  away.clear();
  keepDays = 30;
  timers.advance(60_000);
  await until("the store's is forgotten", async () => (await reasons(store, atStore)).length === 1);
  expect(await reasons(hub, atHub)).toEqual(["5 days", "89 days"]);
  timers.advance(3_600_000);
  await until("the hub has its turn again", async () => (await reasons(hub, atHub)).length === 1);
  // a clock that was wrong is set right: nothing waits for it to come there again
  await hub.write(resolved(atHub, 40));
  timers.advance(-10 * 365 * DAY);
  await until("the hub has its turn at once", async () => (await reasons(hub, atHub)).length === 1);
  stop.abort();
  await running;
});

test("a node that cannot be asked holds up neither the others nor the end", async () => {
  const broken = await sqliteNode("broken", "create table item (id integer primary key)");
  const store = await sqliteNode("store", "create table item (id integer primary key)", TABLES);
  open.push(broken, store);
  await store.write(resolved("tombolo_conflict_history", 91));
  const stop = new AbortController();
  const keeper = historyKeeper({
    log: await createLogger({ level: "silent", format: "json" }),
    timers: handTimers(BELIEVED),
    keepMs: () => 90 * DAY,
    names: () => [broken.node.name, store.node.name],
    node: (name) => (name === "broken" ? broken.node : store.node),
  });
  const running = keeper.run(stop.signal);
  await until("the store's is forgotten", async () => (await store.rows("select id from tombolo_conflict_history")).length === 0);
  stop.abort();
  await running;
});
