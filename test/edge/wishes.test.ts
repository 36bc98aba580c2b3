import { afterEach, describe, expect, test } from "vitest";
import { tableName } from "../../replicator/change/names.ts";
import { type EdgeWorld, edgeWorld } from "../helpers/edge-world.ts";
import { both } from "../helpers/pair.ts";

const DDL = both("create table item (id bigint primary key, note text)");
const SIGNAL = new AbortController().signal;
/** Longer than a test may take. */
const WAITING = { final: false, waitMs: 55_000, signal: SIGNAL } as const;

let world: EdgeWorld | undefined;
afterEach(() => world?.close());

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  test("what is wanted of an edge ends its waiting, once", { timeout: 50_000 }, async () => {
    world = await edgeWorld({ engine, schema: DDL, tables: [{ name: "item" }] });
    const [asked, idle] = [await world.edge("asked"), await world.edge("idle")];
    for (const { edge } of [asked, idle]) await edge.sync(SIGNAL);
    const over = new AbortController();
    const others = idle.edge.exchange({ ...WAITING, signal: over.signal }).catch(() => "waited");
    const { copies, reconciles } = world.database.node;
    const first = asked.edge.exchange(WAITING);
    const wish = { peer: asked.node.name, side: "source" as const, direction: "pull" as const, tables: [tableName("item")] };
    const run = await copies.runs.request(wish, "a person");
    expect(await first).toMatchObject({ fullSync: { run }, reconcile: null });
    // the edge has not begun with it: it is not called again for that, or it would ask again and again
    const second = asked.edge.exchange(WAITING);
    const compare = await reconciles.request({ name: "nightly", peer: asked.node.name, repair: "report" });
    expect(await second).toMatchObject({ fullSync: { run }, reconcile: { run: compare } });
    over.abort();
    expect(await others).toBe("waited");
  });
});
