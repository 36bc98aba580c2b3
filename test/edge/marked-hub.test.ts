import { afterEach, describe, expect, test } from "vitest";
import type { NodeName } from "../../replicator/change/names.ts";
import { EdgeAgent } from "../../replicator/edge/agent.ts";
import { createLogger } from "../../replicator/observability/log.ts";
import { createMarkedTables } from "../../replicator/reconcile/marked-tables.ts";
import { UNSEEN } from "../helpers/capture-switch.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { type EdgeWorld, edgeWorlds, type TestEdge } from "../helpers/edge-world.ts";
import { handTimers } from "../helpers/hand-timers.ts";
import { both } from "../helpers/pair.ts";

const open = edgeWorlds({ schema: both("create table item (id bigint primary key, name text)"), tables: [{ name: "item" }] });

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

/** In force, as an enrolled edge's is. */
const enrol = (world: EdgeWorld, node: NodeName): Promise<unknown> =>
  world.database.node.tokens.issue(
    { kind: "token", name: node, role: "node", node, group: "edges", params: {}, lifetimeMs: null, expiresInMs: null },
    { handle: node.padEnd(16, "x").slice(0, 16), hash: new TextEncoder().encode(node.padEnd(32, "x")), by: "test" },
  );

/** An agent that exchanges ten times a second, until the test ends. */
function goOn({ edge }: TestEdge): void {
  const aborted = new AbortController();
  const watcher = { status() {}, progress() {}, completed() {}, failed() {}, reconciled() {} };
  const ended = new EdgeAgent({ edge, intervalMs: 100, watcher }).run(aborted.signal);
  close.push(async () => {
    aborted.abort();
    await ended;
  });
}

describe.each(["postgres", "sqlite"] as const)("a table of a %s hub that has edges only, and must be compared", (engine) => {
  const marked = async () => {
    const world = await open(engine);
    const edges = [await world.edge("near"), await world.edge("far")] as const;
    await world.database.write("insert into item values (1, 'one'), (2, 'two')");
    for (const edge of edges) {
      await enrol(world, edge.node.name);
      await edge.edge.sync(new AbortController().signal);
    }
    const { installation, reconciles } = world.database.node;
    const table = engine === "postgres" ? "tombolo.captured_table" : "tombolo_captured_table";
    await world.database.write(`update ${table} set state = 'must_compare', reason = 'CAPTURE_GONE'`);
    const timers = handTimers(Date.now());
    const stop = new AbortController();
    const log = await createLogger({ level: "silent", format: "json" });
    const running = createMarkedTables({ topology: world.topology, node: async () => world.database.node, log, timers }).run(stop.signal);
    close.push(async () => {
      stop.abort();
      await running;
    });
    const looks = async (ms = 30_000): Promise<void> => {
      await until("it sleeps", () => timers.sleepers() > 0);
      timers.advance(ms);
      await until("it has looked", () => timers.sleepers() > 0);
    };
    return {
      world,
      edges,
      looks,
      state: async () => (await installation.status()).tables.map(({ state }) => state).join(),
      runs: async () => (await reconciles.runs({ name: "automatic", limit: 20 })).map(({ peer, state }) => `${peer} ${state}`).sort(),
    };
  };

  test("is compared by each of them when it comes, and the mark goes when all have found it equal", async () => {
    const { edges, looks, state, runs } = await marked();
    await looks();
    expect(await runs()).toEqual(["far requested", "near requested"]);
    goOn(edges[0]);
    await until("the first has compared", async () => (await runs()).includes("near clean"));
    await looks();
    expect([await state(), await runs()]).toEqual(["must_compare", ["far requested", "near clean"]]);
    goOn(edges[1]);
    await until("the second has compared", async () => (await runs()).includes("far clean"));
    await looks();
    expect([await state(), await runs()]).toEqual(["live", ["far clean", "near clean"]]);
  });

  test("stays marked while rows differ at one of them, which is asked again after an hour", async () => {
    const { world, edges, looks, state, runs } = await marked();
    await drift(edges[1], "update item set name = 'unseen' where id = 2");
    await looks();
    for (const edge of edges) goOn(edge);
    await until("both have compared", async () => (await runs()).join() === "far drift,near clean");
    await looks();
    await looks();
    expect([await state(), await runs()]).toEqual(["must_compare", ["far drift", "near clean"]]);
    await world.database.write(UNSEEN[engine]("update item set name = 'unseen' where id = 2"));
    await drift(edges[0], "update item set name = 'unseen' where id = 2");
    await looks(3_600_000);
    await until("the one has compared again", async () => (await runs()).join() === "far clean,far drift,near clean");
    await looks();
    expect(await state()).toBe("live");
  });
});
