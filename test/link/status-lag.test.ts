import { afterAll, expect, test } from "vitest";
import { type Lag, LagBook } from "../../replicator/observability/lag.ts";
import { collectStatus } from "../../replicator/observability/status-report.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const TABLES = [{ name: "item" }];
const nodes: TestNode[] = [];
afterAll(async () => {
  for (const node of nodes) await node.close();
});

test("the lag of status is what whoever moves the link has measured, where that is less than the age of what is not acknowledged", async () => {
  const [hub, store] = [
    await sqliteNode("hub", "create table item (id integer primary key)", TABLES),
    await sqliteNode("store", "create table item (id integer primary key)", TABLES),
  ];
  nodes.push(hub, store);
  const link = testLink(hub.node, store.node, TABLES);
  await link.settle();
  const topology = {
    name: "shop",
    nodes: [hub, store].map(({ node }) => ({ name: node.name, type: "sqlite" })),
    links: [{ parent: hub.node.name, child: store.node.name }],
    groups: [],
  } as unknown as Topology;
  const reached = new Map([hub, store].map(({ node }) => [node.name, { node }]));
  const later = Date.now() + 60_000;
  const down = async (lag?: LagBook) => (await collectStatus(topology, reached, () => later, lag)).links[0]?.down;
  const book = new LagBook();
  const measured: Lag = book.of("hub", "store");

  await hub.write("insert into item values (1)");
  measured.applied(later, 0.02);
  expect((await down())?.lag_seconds).toBeGreaterThan(50);
  expect(await down(book)).toMatchObject({ pending_changes: 1, lag_seconds: 0.02 });

  await link.settle();
  measured.applied(later, 5);
  expect(await down(book)).toMatchObject({ pending_changes: 0, lag_seconds: 0 });
});
