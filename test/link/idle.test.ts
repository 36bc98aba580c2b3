import { afterAll, afterEach, expect, test, vi } from "vitest";
import type { LinkObserver } from "../../replicator/link/link.ts";
import { until } from "../helpers/command.ts";
import { sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const TABLES = [{ name: "item", policy: "parent_wins" as const }];
const nodes: TestNode[] = [];
afterEach(() => {
  vi.useRealTimers();
});
afterAll(async () => {
  for (const node of nodes) await node.close();
});

test("a link with nothing to do says so again and again, though it seldom looks around", async () => {
  const schema = "create table item (id integer primary key, name text)";
  const hub = await sqliteNode("hub", schema, TABLES);
  const store = await sqliteNode("store", schema, TABLES);
  nodes.push(hub, store);
  // the intervals only: everything else goes on by itself
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const told: Parameters<LinkObserver["caughtUp"]>[0][] = [];
  const observer: LinkObserver = {
    applied() {},
    caughtUp: (event) => void told.push(event),
    failed: ({ error }) => expect.unreachable(String(error)),
    recovered() {},
    notice() {},
  };
  const news = vi.spyOn(hub.node.log, "news");
  const looks = vi.spyOn(hub.node.log, "tick");
  const stop = new AbortController();
  const running = testLink(hub.node, store.node, TABLES, { observer }).run(stop.signal);
  await until("it waits for news of its parent", () => news.mock.calls.length > 0 && told.length > 0);
  const [before, looked] = [told.length, looks.mock.calls.length];
  vi.advanceTimersByTime(14_000);
  const still = told.slice(before);
  expect(looks.mock.calls.length).toBe(looked);
  expect(still.map(({ source, target }) => `${source} ${target}`).sort()).toEqual(["hub store", "store hub"]);
  // a commit of the last moment may not have been seen yet
  for (const { at } of still) expect(at).toBeLessThanOrEqual(Date.now() - 2_000);
  stop.abort();
  await running;
});
