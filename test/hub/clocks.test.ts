import { afterEach, expect, test } from "vitest";
import { Edge } from "../../replicator/edge/edge.ts";
import { systemTimers } from "../../replicator/lifecycle/timers.ts";
import { type EdgeWorld, edgeWorld } from "../helpers/edge-world.ts";
import { silent } from "../helpers/nodes.ts";
import { both } from "../helpers/pair.ts";

const TEN_YEARS_MS = 10 * 365.25 * 86_400_000;
const SIGNAL = new AbortController().signal;

let world: EdgeWorld;
afterEach(() => world.close());

test.each([
  ["the edge's is ahead", "postgres", TEN_YEARS_MS, 0],
  ["the edge's is behind", "postgres", -TEN_YEARS_MS, 0],
  ["the hub's is ahead", "sqlite", 0, TEN_YEARS_MS],
  ["the hub's is behind", "postgres", 0, -TEN_YEARS_MS],
  ["both are wrong, each its own way", "sqlite", TEN_YEARS_MS, -TEN_YEARS_MS],
] as const)(
  "clocks ten years apart, %s: nothing is refused, nothing is lost, and times decide nothing",
  async (_, engine, edgeMs, hubMs) => {
    const now = (): number => Date.now() + hubMs;
    world = await edgeWorld({
      engine,
      schema: both("create table item (id bigint primary key, note text)"),
      tables: [{ name: "item", policy: "newest_wins" }],
      hub: { timers: { ...systemTimers, now } },
    });
    const store = await world.edge("store");
    const { token, node } = store;
    const edge = new Edge({
      credential: { hub: world.hub.url, node: node.name, token, ca: null },
      database: "/edge.db",
      openNode: async () => ({ ...node, close: async () => undefined }),
      observer: silent,
      now: () => Date.now() + edgeMs,
    });
    try {
      await world.database.write("insert into item values (1, 'a'), (2, 'b')");
      await edge.sync(SIGNAL);
      // the edge's change is newer by any clock that goes right
      await world.database.write("update item set note = 'hub' where id = 1; insert into item values (3, 'hub')");
      await store.write(
        "update item set note = 'edge' where id = 1; update item set note = 'edge' where id = 2; insert into item values (4, 'edge')",
      );
      expect(await edge.sync(SIGNAL)).toMatchObject({ conflicts: 1, open: 0, parked: 0 });
      const rows = await world.database.rows("select note from item order by id");
      expect(await store.rows("select note from item order by id")).toEqual(rows);
      expect(rows.flat()).toEqual(["hub", "edge", "hub", "edge"]);
      expect(await edge.sync(SIGNAL)).toEqual({ sent: 0, received: 0, conflicts: 0, open: 0, parked: 0 });
    } finally {
      await edge.client.close();
    }
  },
);
