import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, openHub, type TestHub, topologyFrom } from "../helpers/hub.ts";
import { sqliteNode, type TestNode } from "../helpers/nodes.ts";
import { type HookReceiver, hookReceiver } from "../helpers/receivers.ts";

const CANARY = "canary-4711";
let database: TestNode;
let hub: TestHub;
let [ops, refusing]: HookReceiver[] = [];

beforeAll(async () => {
  [ops, refusing] = [await hookReceiver(), await hookReceiver()];
  refusing.status = 401;
  database = await sqliteNode("hub", "create table orders (id text primary key not null)");
  await database.node.installation.apply([]);
  const topology = await topologyFrom(`version: 1
name: shop
nodes: [{ name: hub, type: sqlite, path: hub.db }]
channels: [{ name: sales, tables: [orders] }]
groups: [{ name: stores, parent: hub, channels: [sales] }]
notifications:
  targets:
    - { name: ops, type: webhook, url: "${ops.url}?key=${CANARY}", secret: ${CANARY} }
    - { name: refusing, type: webhook, url: "${refusing.url}?key=${CANARY}", authorization: ${CANARY}, events: [must_resync] }
`);
  hub = await openHub({ topology, nodes: [database.node] });
});
afterAll(async () => {
  await hub.close();
  await database.close();
  for (const each of [ops, refusing]) await each?.close();
});

test("an operator sends a test to all targets or to one, is told how it went, and leaves a line in the audit trail", async () => {
  const post = (body: object) => ask(hub, "POST", "/v1/notifications/test", { token: "operator", body });
  const all = await post({});
  expect(all.body.results).toEqual([
    { target: "ops", type: "webhook", outcome: "sent", error: null },
    { target: "refusing", type: "webhook", outcome: "failed", error: expect.objectContaining({ code: "NOTIFY_REFUSED" }) },
  ]);
  expect((await post({ target: "ops" })).body.results).toHaveLength(1);
  expect(ops?.posted.map(({ body }) => JSON.parse(body).event)).toEqual(["test", "test"]);
  const unknown = await post({ target: "nobody" });
  expect([unknown.status, unknown.body.code]).toEqual([422, "TARGET_UNKNOWN"]);
  const audit = await ask(hub, "GET", "/v1/audit?what=notifications%20tested", { token: "admin" });
  expect(audit.body.entries.at(-1)).toMatchObject({ who: "operator", details: { targets: ["ops: sent", "refusing: failed"] } });
  expect(JSON.stringify([all.body, audit.body]) + hub.log()).not.toContain(CANARY);
});

test("a viewer sees who is told of what, and what waits for them and why; no address and no secret", async () => {
  const at = Date.parse("2026-01-31T03:00:00Z");
  const { notifications } = database.node;
  await notifications.write({ enter: [{ target: "ops", eventId: "1", event: "{}", at }] });
  const id = (await notifications.waiting())[0]!.id;
  await notifications.write({ settle: [{ id, state: "waiting", attempts: 1, nextAt: at + 1, at, error: "HTTP 500 (NOTIFY_REFUSED)" }] });
  const { body } = await ask(hub, "GET", "/v1/notifications", { token: "viewer" });
  expect(body.targets).toEqual([
    {
      ...{ target: "ops", type: "webhook", waiting: 1, oldest_at: "2026-01-31T03:00:00.000Z", last_error: "HTTP 500 (NOTIFY_REFUSED)" },
      events: expect.arrayContaining(["full_sync_failed", "conflicts_open"]),
    },
    { target: "refusing", type: "webhook", events: ["must_resync"], waiting: 0, oldest_at: null, last_error: null },
  ]);
  expect(JSON.stringify(body)).not.toContain(CANARY);
});
