import { afterEach, describe, expect, test } from "vitest";
import { EdgeAgent } from "../../replicator/edge/agent.ts";
import { until } from "../helpers/command.ts";
import { type EdgeWorld, edgeWorld } from "../helpers/edge-world.ts";
import { both } from "../helpers/pair.ts";

const SIGNAL = new AbortController().signal;
const SCHEMA = both(
  "create table item (id bigint primary key, region text, note text); create table tag (id bigint primary key, note text)",
);
const ALL = "select id, note from item order by id";

let world: EdgeWorld;
afterEach(() => world.close());

describe.each([
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
] as const)("a %s hub and a %s edge", (above, below) => {
  test.each([false, true])(
    "an edge that was away for longer than the log is kept comes back by itself, and loses nothing (some rows only: %s)",
    async (some) => {
      const tables = [some ? { name: "item", filter: "region = :region" } : { name: "item" }, { name: "tag" }];
      world = await edgeWorld({ engine: above, schema: SCHEMA, tables, params: some ? ["region"] : [] });
      const params = some ? { region: "north" } : {};
      await world.database.write(
        "insert into item values (1, 'north', 'a'), (2, 'north', 'b'), (3, 'north', 'c'), (4, 'south', 'd'); insert into tag values (1, 'x'), (2, 'y')",
      );
      const away = await world.edge("away", { engine: below, params });
      const near = await world.edge("near", { params });
      await away.edge.sync(SIGNAL);
      await near.edge.sync(SIGNAL);
      await away.write(
        "update item set note = 'edited' where id = 1; delete from item where id = 2; insert into item values (10, 'north', 'mine')",
      );
      await world.database.write(
        "delete from item where id = 3; update item set note = 'hub' where id = 1; insert into item values (5, 'north', 'e'); delete from tag where id = 2",
      );
      await near.edge.sync(SIGNAL);
      await near.edge.sync(SIGNAL);
      // nobody waits for the other any more
      const marked = await world.database.node.log.retain({ keepMs: -60_000, maxBytes: 10 * 2 ** 30 });
      expect(marked.map(({ reader }) => reader)).toEqual(["away"]);
      await world.database.node.log.purge();
      const moved = await away.edge.sync(SIGNAL);
      expect(moved.sent).toBe(3);
      // in chunks that survive an interruption, and not in a packet
      const { runs } = world.database.node.copies;
      expect(await runs.list(5)).toMatchObject([{ side: "source", direction: "pull", state: "done", peer: "away" }]);
      expect(await away.node.copies.runs.list(5)).toMatchObject([{ side: "target", state: "done" }]);
      await near.edge.sync(SIGNAL);
      const rows = await world.database.rows(some ? "select id, note from item where region = 'north' order by id" : ALL);
      expect(rows.map((row) => row.join(""))).toEqual(some ? ["1hub", "5e", "10mine"] : ["1hub", "4d", "5e", "10mine"]);
      expect(await away.rows(ALL)).toEqual(rows);
      expect(await near.rows(ALL)).toEqual(rows);
      expect(await away.rows("select id from tag")).toEqual([["1"]]);
      // it is a neighbour like any other again
      await world.database.write("insert into item values (6, 'north', 'f')");
      expect(await away.edge.sync(SIGNAL)).toMatchObject({ received: 1 });
      const { peers } = await world.database.node.installation.status();
      expect(peers.map(({ name, state }) => [name, state]).sort()).toEqual([
        ["away", "live"],
        ["near", "live"],
      ]);
    },
  );

  test("its agent, which waits for the hub, is filled in the same way, and hears of what the hub writes afterwards", async () => {
    world = await edgeWorld({ engine: above, schema: SCHEMA, tables: [{ name: "item" }, { name: "tag" }] });
    const away = await world.edge("away", { engine: below });
    const near = await world.edge("near");
    await world.database.write("insert into item values (1, 'north', 'a'), (2, 'north', 'b')");
    for (const { edge } of [away, near]) await edge.sync(SIGNAL);
    await away.write("insert into item values (10, 'north', 'mine')");
    await world.database.write("delete from item where id = 1; update item set note = 'hub' where id = 2");
    for (let round = 0; round < 2; round++) await near.edge.sync(SIGNAL);
    await world.database.node.log.retain({ keepMs: -60_000, maxBytes: 10 * 2 ** 30 });
    await world.database.node.log.purge();
    const stop = new AbortController();
    const failed: unknown[] = [];
    const watcher = { status() {}, progress() {}, completed() {}, failed: (error: unknown) => void failed.push(error) };
    const ended = new EdgeAgent({ edge: away.edge, intervalMs: 60_000, watcher }).run(stop.signal);
    const notes = async (): Promise<string> => (await away.rows("select note from item order by id")).join();
    await until("it is filled", async () => (await notes()) === "hub,mine");
    await world.database.write("insert into item values (3, 'north', 'later')");
    await until("it hears of the rest", async () => (await notes()) === "hub,later,mine");
    stop.abort();
    await ended;
    expect(failed).toEqual([]);
    expect(await world.database.rows("select note from item where id = 10")).toEqual([["mine"]]);
    expect((await world.database.node.copies.runs.list(5)).length).toBe(1);
  });
});
