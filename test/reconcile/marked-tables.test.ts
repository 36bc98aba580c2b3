import { expect, test } from "vitest";
import { createLogger } from "../../replicator/observability/log.ts";
import { createMarkedTables } from "../../replicator/reconcile/marked-tables.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { until } from "../helpers/command.ts";
import { handTimers } from "../helpers/hand-timers.ts";
import { both, closeAfterEach, type Pair, pairOf } from "../helpers/pair.ts";

closeAfterEach();

const fresh = async (): Promise<Pair> => {
  const pair = await pairOf(["postgres", "postgres"], both("create table item (id bigint primary key, name text)"), [{ name: "item" }]);
  await pair.parent.write("insert into public.item values (1, 'one'), (2, 'two')");
  await pair.settle();
  return pair;
};

/** The service over a pair, with the hands of its clock. */
async function watching(pair: Pair) {
  const topology: Topology = {
    ...pair.link.ends.topology,
    nodes: [pair.parent.node.name, pair.child.node.name].map((name) => ({ name, type: "postgres", url: "", capture: "trigger" }) as const),
  };
  const timers = handTimers(Date.now());
  const stop = new AbortController();
  const log = await createLogger({ level: "silent", format: "json" });
  const node = async (name: string) => (name === "hub" ? pair.parent.node : pair.child.node);
  const running = createMarkedTables({ topology, node, log, timers }).run(stop.signal);
  return {
    runs: async () => (await pair.parent.node.reconciles.runs({ limit: 20 })).map(({ name, state }) => `${name} ${state}`),
    state: async () => (await pair.child.node.installation.status()).tables.map(({ state }) => state).join(),
    /** The service has looked once more; whatever it compares may ask the clock to go on, too. */
    async looks(): Promise<void> {
      for (let slept = 0; slept < 3; slept++) {
        await until("it sleeps", () => timers.sleepers() > 0);
        timers.advance(30_000);
      }
      await until("it sleeps", () => timers.sleepers() > 0);
    },
    async stop(): Promise<void> {
      stop.abort();
      await running;
    },
  };
}

const TRIGGERS = (how: "disable" | "enable always") =>
  ["insert", "update", "delete"].map((op) => `alter table public.item ${how} trigger tombolo_capture_${op}`).join(";");

test("a table whose triggers were away for a time is compared once they are back; where no row differs the mark goes", async () => {
  const pair = await fresh();
  await pair.child.write(TRIGGERS("disable"));
  await pair.child.node.installation.verify();
  const world = await watching(pair);
  try {
    await world.looks();
    expect([await world.state(), await world.runs()]).toEqual(["must_compare", []]);
    await pair.child.write(TRIGGERS("enable always"));
    await world.looks();
    expect([await world.state(), await world.runs()]).toEqual(["live", ["automatic clean"]]);
  } finally {
    await world.stop();
  }
});

test("what was written meanwhile is found and reported, once, and nothing is changed", async () => {
  const pair = await fresh();
  await pair.child.write(`${TRIGGERS("disable")}; update public.item set name = 'unseen' where id = 2`);
  await pair.child.node.installation.verify();
  await pair.child.write(TRIGGERS("enable always"));
  const world = await watching(pair);
  try {
    await world.looks();
    await world.looks();
    expect([await world.state(), await world.runs()]).toEqual(["must_compare", ["automatic drift"]]);
    expect(await pair.child.rows("select name from public.item order by id")).toEqual([["one"], ["unseen"]]);
    expect(await pair.parent.rows("select name from public.item order by id")).toEqual([["one"], ["two"]]);
  } finally {
    await world.stop();
  }
});

test("a table that was compared, and whose triggers are away once more, is compared again as soon as they are back", async () => {
  const pair = await fresh();
  const world = await watching(pair);
  try {
    for (let times = 1; times <= 2; times++) {
      await pair.child.write(TRIGGERS("disable"));
      await pair.child.node.installation.verify();
      await world.looks();
      await pair.child.write(TRIGGERS("enable always"));
      await world.looks();
      expect([await world.state(), await world.runs()]).toEqual(["live", Array.from({ length: times }, () => "automatic clean")]);
    }
  } finally {
    await world.stop();
  }
});
