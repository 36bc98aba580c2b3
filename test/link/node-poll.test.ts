import { afterAll, expect, test, vi } from "vitest";
import { LagBook } from "../../replicator/observability/lag.ts";
import { createMetrics, setNodeStatus } from "../../replicator/observability/metrics.ts";
import { pollNode } from "../../replicator/observability/node-poll.ts";
import { sqliteNode, type TestNode } from "../helpers/nodes.ts";

const nodes: TestNode[] = [];
afterAll(async () => {
  for (const node of nodes) await node.close();
});

test("a node at rest is looked at without a gauge being touched; one that was down, or was written to, is shown anew", async () => {
  const store = await sqliteNode("store", "create table item (id integer primary key)", [{ name: "item" }]);
  nodes.push(store);
  const lag = new LagBook();
  const metrics = createMetrics({ version: "0", lag, now: Date.now });
  let state = "live";
  const poll = () =>
    pollNode(store.node, {
      ...{ metrics, lag, now: Date.now, counts: true },
      stateAtParent: () => state,
      groupsOf: async () => new Map(),
    });
  const shows = async (status: string) =>
    (await metrics.nodeStatus.get()).values.find(({ labels }) => labels.node === "store" && labels.status === status)?.value;
  const logged = async () => (await metrics.logRows.get()).values.find(({ labels }) => labels.node === "store")?.value;

  await poll();
  expect([await shows("live"), await logged()]).toEqual([1, 0]);
  const touched = [vi.spyOn(metrics.logRows, "set"), vi.spyOn(metrics.nodeStatus, "set"), vi.spyOn(metrics.drifted, "set")];
  await poll();
  for (const set of touched) expect(set).not.toHaveBeenCalled();

  await store.write("insert into item values (1), (2)");
  await poll();
  expect(await logged()).toBe(2);

  state = "paused";
  await poll();
  expect([await shows("live"), await shows("paused")]).toEqual([0, 1]);

  vi.spyOn(store.node.installation, "status").mockRejectedValueOnce(new Error("away"));
  await expect(poll()).rejects.toThrow("away");
  setNodeStatus(metrics, "store", "down");
  await poll();
  expect([await shows("down"), await shows("paused")]).toEqual([0, 1]);
});
