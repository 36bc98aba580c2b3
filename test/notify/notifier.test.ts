import { afterEach, describe, expect, test } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { wantedTables } from "../../replicator/lifecycle/tree.ts";
import { createLink } from "../../replicator/link/create-link.ts";
import type { Link } from "../../replicator/link/link.ts";
import { Notifier } from "../../replicator/notify/notifier.ts";
import { LagBook } from "../../replicator/observability/lag.ts";
import { createLogger } from "../../replicator/observability/log.ts";
import { createMetrics, declareLabels, type Metrics } from "../../replicator/observability/metrics.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { freePort, until } from "../helpers/command.ts";
import { handTimers } from "../helpers/hand-timers.ts";
import { topologyFrom } from "../helpers/hub.ts";
import { postgresNode, silent, sqliteNode, type TestNode } from "../helpers/nodes.ts";
import { type HookReceiver, hookReceiver, mailReceiver } from "../helpers/receivers.ts";

const SCHEMA = "create table orders (id text primary key not null, note text)";
const MINUTE = 60_000;

/** A notifier that runs, and its clock. */
interface Running {
  /** Goes on by so much, and waits until everything has been looked at and sent. */
  advance(ms?: number): Promise<void>;
  stop(): Promise<void>;
  metrics(): Promise<string>;
  log(): string;
}

describe.each(["sqlite", "postgres"] as const)("the notifications of a %s hub", (engine) => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  interface World {
    readonly hub: TestNode;
    readonly store: TestNode;
    readonly link: Link;
    readonly topology: Topology;
    clock: number;
    start(): Promise<Running>;
    /** Of the hub. */
    sql(text: string): string;
  }

  async function world(notifications: string): Promise<World> {
    const hub = await (engine === "postgres" ? postgresNode : sqliteNode)("hub", SCHEMA);
    const store = await sqliteNode("store-1", SCHEMA);
    closing.push(hub.close, store.close);
    const topology = await topologyFrom(`version: 1
name: shop
nodes:
  - { name: hub, ${engine === "postgres" ? "type: postgres, url: postgres://db/shop" : "type: sqlite, path: hub.db"} }
  - { name: store-1, type: sqlite, path: store-1.db }
channels: [{ name: sales, tables: [{ name: orders, conflict: manual }] }]
links: [{ parent: hub, child: store-1, channels: [sales] }]
notifications:
${notifications}
`);
    for (const [at, { node }] of [hub, store].entries()) await node.installation.apply(wantedTables(topology, topology.nodes[at]!));
    const link = createLink({
      ...{ parent: hub.node, child: store.node, link: topology.links[0]!, topology },
      ...{ observer: silent, modules: createModuleRunner() },
    });
    const made: World = {
      ...{ hub, store, link, topology },
      // before what the databases' own clocks say, which the records are of
      clock: Date.now() - 5_000,
      sql: (text) => (engine === "postgres" ? text : text.replaceAll("tombolo.", "tombolo_")),
      start: () => startNotifier(made),
    };
    return made;
  }

  async function startNotifier(of: World): Promise<Running> {
    const timers = handTimers(of.clock);
    const lines: string[] = [];
    const log = await createLogger({ level: "debug", format: "json", stream: { write: (line) => void lines.push(line) } });
    const metrics: Metrics = createMetrics({ version: "0", lag: new LagBook(), now: timers.now });
    declareLabels(metrics, of.topology);
    const { topology, hub, store } = of;
    const notifications = topology.notifications!;
    const node = async (name: string) => (name === "hub" ? hub.node : store.node);
    const stop = new AbortController();
    const running = new Notifier({ topology, notifications, node, metrics, log, timers }).run(stop.signal);
    let failed: unknown;
    running.catch((error: unknown) => (failed = error));
    const settled = () =>
      until("everything is looked at", () => {
        if (failed !== undefined) throw failed;
        return timers.sleepers() > 0;
      });
    await settled();
    const stopped = async () => {
      stop.abort();
      await running;
      of.clock = timers.now();
    };
    closing.push(stopped);
    return {
      async advance(ms = 5_000) {
        timers.advance(ms);
        await settled();
      },
      stop: stopped,
      metrics: () => metrics.registry.metrics(),
      log: () => lines.join(""),
    };
  }

  /** A full sync of the store, as its records have it. */
  async function fullSync({ store }: World, end: "done" | "failed", error?: string): Promise<void> {
    const { runs } = store.node.copies;
    const begun = await runs.begin({
      peer: nodeName("hub"),
      side: "target",
      direction: "pull",
      tables: [tableName("orders")],
      resume: false,
    });
    await runs.beat(begun.id, { phase: "copy", rows: 12, bytes: 100, estimatedRows: 20, position: null });
    await runs.end(begun.id, end, error);
  }

  async function reconcile({ hub }: World, state: "clean" | "repaired" | "drift" | "failed", differing = 0): Promise<void> {
    const id = await hub.node.reconciles.begin({ name: "nightly", peer: nodeName("store-1"), repair: "report" });
    const table = { table: tableName("orders"), compared: 100, differing, repaired: state === "repaired" ? differing : 0 };
    const examples = { unsettled: 0, parked: 0, examples: ['["canary-key"]'], scope: "all" as const, whole: null, error: null };
    await hub.node.reconciles.finish(id, { state, tables: [{ ...table, ...examples }], error: state === "failed" ? "NODE_SILENT" : null });
  }

  const hookTo = ({ url }: HookReceiver, more = ""): string => `  targets: [{ name: ops, type: webhook, url: "${url}"${more} }]`;
  const eventsOf = ({ posted }: HookReceiver): Record<string, unknown>[] => posted.map(({ body }) => JSON.parse(body));
  const receiver = async (): Promise<HookReceiver> => {
    const made = await hookReceiver();
    closing.push(made.close);
    return made;
  };

  test("tell of full syncs and reconciles that ended, once each, and of nothing that was over before", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops));
    await fullSync(shop, "failed", "DISK_FULL");
    shop.clock = Date.now() + 1_000;
    const running = await shop.start();
    await running.advance();
    expect(eventsOf(ops)).toEqual([]);
    // the records are of real time: they are to be of after the target was first seen
    await until("the clock of the records has passed", () => Date.now() > shop.clock);
    await fullSync(shop, "done");
    await fullSync(shop, "failed", "DISK_FULL");
    await reconcile(shop, "clean");
    await reconcile(shop, "repaired", 2);
    await reconcile(shop, "drift", 3);
    await reconcile(shop, "failed");
    for (let round = 0; round < 3; round++) await running.advance();
    const told = eventsOf(ops);
    expect(told.map(({ event, severity }) => [event, severity])).toEqual(
      expect.arrayContaining([
        ["full_sync_completed", "info"],
        ["full_sync_failed", "critical"],
        ["reconcile_completed", "info"],
        ["reconcile_drift", "warning"],
        ["reconcile_drift", "critical"],
        ["reconcile_failed", "critical"],
      ]),
    );
    expect(told).toHaveLength(6);
    expect(new Set(told.map(({ id }) => id)).size).toBe(6);
    expect(told.find(({ event }) => event === "full_sync_failed")).toMatchObject({
      topology: "shop",
      details: { node: "store-1", peer: "hub", direction: "pull", rows: "12", error: "DISK_FULL", outcome: "failed" },
    });
    expect(JSON.stringify(told)).not.toContain("canary-key");
    expect(await running.metrics()).toContain('tombolo_notifications_total{target="ops",outcome="sent"} 6');
    expect(await running.metrics()).toContain('tombolo_notifications_waiting{target="ops"} 0');
  });

  test("keep what a target does not take, over a restart, and bring it when it does, under the same id", async () => {
    const ops = await receiver();
    const port = await freePort();
    const shop = await world(`  targets:
    - { name: ops, type: webhook, url: "${ops.url}", events: [full_sync_failed] }
    - { name: mail, type: email, server: "localhost:${port}", tls: none, from: a@example.com, to: [b@example.com], events: [full_sync_failed] }`);
    const first = await shop.start();
    ops.status = 503;
    await fullSync(shop, "failed", "DISK_FULL");
    await reconcile(shop, "clean");
    await first.advance();
    expect(ops.posted).toHaveLength(1);
    // it is left alone for a while, longer each time
    await first.advance(4_000);
    expect(ops.posted).toHaveLength(1);
    await first.advance(1_000);
    expect(ops.posted).toHaveLength(2);
    await first.advance(9_000);
    expect(ops.posted).toHaveLength(2);
    expect(await first.metrics()).toContain('tombolo_notifications_total{target="ops",outcome="failed"} 2');
    expect(await first.metrics()).toContain('tombolo_notifications_waiting{target="mail"} 1');
    expect(first.log()).toContain("NOTIFY_UNREACHABLE");
    await first.stop();

    shop.clock += 10 * MINUTE;
    ops.status = 200;
    const server = await mailReceiver({ port });
    closing.push(server.close);
    const second = await shop.start();
    await second.advance(MINUTE);
    expect(server.mails).toHaveLength(1);
    expect(server.mails[0]?.source).toContain("DISK_FULL");
    const ids = ops.posted.map(({ headers }) => headers["webhook-id"]);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
    expect(server.mails[0]?.source).toContain(`Message-ID: <${ids[0]}@`);
    for (let round = 0; round < 3; round++) await second.advance(MINUTE);
    expect([ops.posted.length, server.mails.length]).toEqual([3, 1]);
  });

  test("give a message up when `keep` is over, and say so", async () => {
    const ops = await receiver();
    ops.status = 400;
    const shop = await world(`  keep: 1h\n${hookTo(ops)}`);
    const running = await shop.start();
    await fullSync(shop, "failed", "DISK_FULL");
    await running.advance();
    await running.advance(61 * MINUTE);
    expect(await running.metrics()).toContain('tombolo_notifications_total{target="ops",outcome="dropped"} 1');
    expect(running.log()).toContain("a notification is given up");
    const tries = ops.posted.length;
    await running.advance(61 * MINUTE);
    expect(ops.posted).toHaveLength(tries);
  });

  test("that one target never takes keep no other from it", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops));
    const running = await shop.start();
    ops.status = 500;
    await fullSync(shop, "failed", "DISK_FULL");
    await running.advance();
    ops.status = 200;
    await reconcile(shop, "failed");
    // the first has been tried once, so that the second has its turn before it
    await running.advance(20_000);
    expect(eventsOf(ops).map(({ event }) => event)).toEqual(["full_sync_failed", "reconcile_failed", "full_sync_failed"]);
  });

  test("beyond a target's limit come as one message that counts and lists them; the limit outlives a restart", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops, ", limit: { messages: 3, per: 1h }"));
    const first = await shop.start();
    for (let run = 0; run < 10; run++) await reconcile(shop, "drift", run + 1);
    await first.advance();
    expect(eventsOf(ops).map(({ event }) => event)).toEqual(["reconcile_drift", "reconcile_drift", "held_back"]);
    expect(eventsOf(ops)[2]).toMatchObject({ severity: "critical", details: { held_back: "8" } });
    expect(eventsOf(ops)[2]?.summary).toContain("8 reconcile_drift");
    expect(eventsOf(ops)[2]?.events).toHaveLength(8);
    expect(await first.metrics()).toContain('tombolo_notifications_total{target="ops",outcome="held_back"} 8');
    await fullSync(shop, "failed", "DISK_FULL");
    await first.advance();
    await first.stop();
    const second = await shop.start();
    await second.advance(30 * MINUTE);
    expect(ops.posted).toHaveLength(3);
    expect(second.log()).toContain("NOTIFY_HELD_BACK");
    await second.advance(31 * MINUTE);
    expect(
      eventsOf(ops)
        .map(({ event }) => event)
        .slice(3),
    ).toEqual(["full_sync_failed"]);
  });

  test("that a target never takes keep no other from it under a limit either", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops, ", limit: { messages: 3, per: 1h }"));
    const running = await shop.start();
    ops.status = 500;
    for (let run = 0; run < 5; run++) await reconcile(shop, "drift", run + 1);
    await running.advance();
    const refused = ops.posted[0]?.headers["webhook-id"];
    ops.status = 200;
    await running.advance(MINUTE);
    const events = eventsOf(ops);
    expect(events.map(({ event }) => event)).toEqual(["reconcile_drift", "reconcile_drift", "reconcile_drift", "held_back"]);
    // others went first, and the one that was refused is among the rest
    expect(events.slice(1, 3).map(({ id }) => id)).not.toContain(refused);
    const { events: listed } = events[3] as { events: { id: string }[] };
    expect(listed.map(({ id }) => id)).toContain(refused);
  });

  test("are not looked for anew from the beginning by the next process, and what ended between the two is found", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops));
    const first = await shop.start();
    await reconcile(shop, "failed");
    await first.advance();
    await first.stop();
    await reconcile(shop, "drift", 1);
    const second = await shop.start();
    await second.advance();
    expect(eventsOf(ops).map(({ event }) => event)).toEqual(["reconcile_failed", "reconcile_drift"]);
    const levels = await shop.hub.rows(shop.sql("select name from tombolo.notification_level order by name"));
    expect(levels).toEqual([["looked/hub"], ["looked/store-1"], ["target/ops"]]);
  });

  test("tell of a node that must be filled anew once, and again when it must be once more", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops));
    await shop.link.sync(new AbortController().signal);
    const first = await shop.start();
    const state = (to: string) =>
      shop.hub.write(shop.sql(`update tombolo.peer set state = '${to}', reason = 'left_behind' where name = 'store-1'`));
    await state("must_resync");
    await first.advance();
    await first.advance();
    await first.stop();
    const second = await shop.start();
    await second.advance();
    expect(eventsOf(ops)).toMatchObject([{ event: "must_resync", details: { node: "store-1", peer: "hub", outcome: "left_behind" } }]);
    await state("live");
    await second.advance();
    await state("must_resync");
    await second.advance();
    const told = eventsOf(ops);
    expect(told.map(({ event }) => event)).toEqual(["must_resync", "must_resync"]);
    expect(told[0]?.id).not.toBe(told[1]?.id);
    // one that is gone altogether no longer must
    await shop.hub.write(shop.sql("update tombolo.peer set name = 'store-9', state = 'live' where name = 'store-1'"));
    await second.advance();
    await shop.hub.write(shop.sql("update tombolo.peer set name = 'store-1', state = 'must_resync' where name = 'store-9'"));
    await second.advance();
    expect(ops.posted).toHaveLength(3);
  });

  test("tell of open conflicts once for each crossing: not again before they have fallen to half", async () => {
    const ops = await receiver();
    const shop = await world(`  open_conflicts: 2\n${hookTo(ops)}`);
    const { hub, store, link } = shop;
    const sync = () => link.sync(new AbortController().signal);
    const running = await shop.start();
    const ids = ["a", "b", "c"];
    await hub.write(`insert into orders values ${ids.map((id) => `('${id}', 'base')`).join(", ")}`);
    await sync();
    const conflict = async (id: string, round: number): Promise<void> => {
      await hub.write(`update orders set note = 'hub ${round}' where id = '${id}'`);
      await store.write(`update orders set note = 'store ${round}' where id = '${id}'`);
      await sync();
    };
    const resolve = (most: number) =>
      hub.write(
        shop.sql(
          `update tombolo.conflict_history set status = 'resolved' where id in (select id from tombolo.conflict_history where status = 'open' order by id limit ${most})`,
        ),
      );
    await conflict("a", 1);
    await conflict("b", 1);
    await running.advance();
    expect(eventsOf(ops)).toEqual([]);
    await conflict("c", 1);
    await running.advance();
    await running.advance();
    expect(eventsOf(ops)).toMatchObject([{ event: "conflicts_open", details: { node: "hub", conflicts: "3", threshold: "2" } }]);
    // below the threshold and above it again, but never down to half
    await resolve(1);
    await running.advance();
    await conflict("a", 2);
    await running.advance();
    expect(ops.posted).toHaveLength(1);
    await resolve(2);
    await running.advance();
    await conflict("b", 2);
    await conflict("c", 2);
    await running.advance();
    expect(eventsOf(ops).map(({ event }) => event)).toEqual(["conflicts_open", "conflicts_open"]);
  });

  test("that wait for a target which the topology no longer has are dropped; one that comes back is told of what happens from then on", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops));
    const { notifications } = shop.topology;
    ops.status = 500;
    const first = await shop.start();
    await reconcile(shop, "failed");
    await first.advance();
    await first.stop();
    expect(ops.posted).toHaveLength(1);
    const others = { ...notifications!, targets: [{ ...notifications!.targets[0]!, name: "other", events: ["must_resync" as const] }] };
    const second = await startNotifier({ ...shop, topology: { ...shop.topology, notifications: others } });
    await second.advance();
    await second.stop();
    ops.status = 200;
    shop.clock = Date.now() + MINUTE;
    const third = await shop.start();
    await third.advance(MINUTE);
    expect(ops.posted).toHaveLength(1);
    expect(await shop.hub.rows(shop.sql("select target, state from tombolo.notification"))).toEqual([["ops", "dropped"]]);
  });

  test("tell of a full sync whose process is gone", async () => {
    const ops = await receiver();
    const shop = await world(hookTo(ops));
    const running = await shop.start();
    const start = { side: "target" as const, direction: "pull" as const, tables: [tableName("orders")], resume: false };
    await shop.store.node.copies.runs.begin({ ...start, peer: nodeName("hub"), holder: "full-sync on elsewhere, pid 1" });
    await running.advance();
    expect(eventsOf(ops)).toEqual([]);
    await shop.store.write("update tombolo_full_sync_run set heartbeat_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-10 minutes')");
    await running.advance();
    await running.advance();
    expect(eventsOf(ops)).toMatchObject([{ event: "full_sync_failed", details: { outcome: "interrupted" } }]);
  });
});
