import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import type { LeaseStore } from "../../replicator/lifecycle/lease.ts";
import { wantedTables } from "../../replicator/lifecycle/tree.ts";
import { createLink } from "../../replicator/link/create-link.ts";
import type { Link } from "../../replicator/link/link.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { until } from "../helpers/command.ts";
import { ask, openHub, type TestHub, topologyFrom } from "../helpers/hub.ts";
import { silent, sqliteNode, type TestNode } from "../helpers/nodes.ts";

const SCHEMA = "create table orders (id integer primary key not null, note text)";
const NONE = { sent: 0, received: 0, conflicts: 0, conflicts_open: 0, parked: 0, pending_changes: 0 };

let topology: Topology;
let parent: TestNode;
let child: TestNode;
let link: Link;
const hubs: TestHub[] = [];

beforeAll(async () => {
  [parent, child] = await Promise.all([sqliteNode("hub", SCHEMA), sqliteNode("store-1", SCHEMA)]);
  topology = await topologyFrom(`version: 1
name: shop
nodes: [{ name: hub, type: sqlite, path: hub.db }, { name: store-1, type: sqlite, path: store-1.db }]
channels: [{ name: sales, tables: [{ name: orders, conflict: manual }] }]
links: [{ parent: hub, child: store-1, channels: [sales] }]
`);
  for (const [at, { node }] of [parent, child].entries()) {
    const config = topology.nodes[at];
    if (config !== undefined) await node.installation.apply(wantedTables(topology, config));
  }
  const wanted = topology.links[0];
  if (wanted === undefined) throw new Error("no link");
  link = createLink({ parent: parent.node, child: child.node, link: wanted, topology, observer: silent, modules: createModuleRunner() });
  await link.sync(new AbortController().signal);
});
afterEach(async () => {
  for (const hub of hubs.splice(0)) await hub.close();
});
afterAll(async () => {
  await parent.close();
  await child.close();
});

async function hubWith(lease?: LeaseStore): Promise<TestHub> {
  const hub = await openHub({ topology, nodes: [parent.node, child.node], ...(lease !== undefined && { lease }) });
  hubs.push(hub);
  return hub;
}

const syncNow = (hub: TestHub) => ask(hub, "POST", "/v1/links/hub/store-1/sync", { token: "operator" });
const running: LeaseStore = { take: async () => ({ held: false, holder: "run on elsewhere, pid 7", isRun: true }) };

test("where nobody replicates, a request brings over what is pending, and tells what it was", async () => {
  const hub = await hubWith();
  await parent.write("insert into orders values (1, 'a'), (2, 'b'), (3, 'c')");
  await child.write("insert into orders values (4, 'd'), (5, 'e')");
  const { status, body } = await syncNow(hub);
  expect([status, body]).toEqual([200, { parent: "hub", child: "store-1", ...NONE, sent: 2, received: 3, replicator: null }]);
  expect(await child.rows("select count(*) from orders")).toEqual(await parent.rows("select count(*) from orders"));
  await parent.write("update orders set note = 'of the hub' where id = 1");
  await child.write("update orders set note = 'of the store' where id = 1");
  expect((await syncNow(hub)).body).toMatchObject({ conflicts: 1, conflicts_open: 1 });
  expect((await syncNow(hub)).body).toMatchObject({ ...NONE });
});

test("where somebody replicates, it waits until they have brought it, and counts the conflicts that came of it", async () => {
  const hub = await hubWith(running);
  await child.write("insert into orders values (6, 'f')");
  await parent.write("update orders set note = 'of the hub' where id = 2");
  await child.write("update orders set note = 'of the store' where id = 2");
  let answered = false;
  const asked = syncNow(hub).finally(() => {
    answered = true;
  });
  await until("it is asked for", () => hub.log().includes("a sync was asked for"));
  expect(answered).toBe(false);
  await link.sync(new AbortController().signal);
  const { status, body } = await asked;
  expect([status, body]).toMatchObject([
    200,
    { sent: 2, received: 1, conflicts: 1, conflicts_open: 1, pending_changes: 0, replicator: "run on elsewhere, pid 7" },
  ]);
});

test("a link that is paused is told as such, and one that is not there", async () => {
  const hub = await hubWith();
  await ask(hub, "POST", "/v1/nodes/store-1/pause", { token: "operator" });
  const { status, body } = await syncNow(hub);
  await ask(hub, "POST", "/v1/nodes/store-1/resume", { token: "operator" });
  expect([status, body.code]).toEqual([409, "LINK_PAUSED"]);
  const unknown = await ask(hub, "POST", "/v1/links/hub/store-9/sync", { token: "operator" });
  expect([unknown.status, unknown.body.code]).toEqual([404, "LINK_UNKNOWN"]);
});

test("two begin anew before one becomes a copy of the other, where that is meant", async () => {
  const hub = await hubWith();
  const fullSync = (body: object) => ask(hub, "POST", "/v1/full-sync", { token: "operator", body: { link: "hub/store-1", ...body } });
  expect((await fullSync({ begin_anew: true })).body.code).toBe("RUN_OPTION");
  await child.write("insert into orders values (9, 'only here')");
  const { body } = await fullSync({ begin_anew: true, replace_rows: true, backup: false });
  expect(body).toContain('"text":"hub and store-1 have begun anew"');
  expect(body).toMatch(/event: done\ndata: \{.*"state":"done"/);
  expect(body).toContain('"backup":null');
  const { body: audit } = await ask(hub, "GET", "/v1/audit", { token: "admin" });
  expect(audit.entries).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ who: "operator", what: "nodes resync", details: { child: "store-1", direction: "pull" } }),
    ]),
  );
});
