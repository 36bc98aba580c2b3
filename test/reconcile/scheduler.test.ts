import { describe, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { LagBook } from "../../replicator/observability/lag.ts";
import { createLogger } from "../../replicator/observability/log.ts";
import { createMetrics, declareLabels } from "../../replicator/observability/metrics.ts";
import { lastDue, nextDue } from "../../replicator/reconcile/due.ts";
import { createScheduler } from "../../replicator/reconcile/scheduler.ts";
import type { Topology, TopologyReconcile } from "../../replicator/topology/topology.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { handTimers } from "../helpers/hand-timers.ts";
import { both, closeAfterEach, type Pair, pairOf } from "../helpers/pair.ts";

closeAfterEach();

const HOUR = 3_600_000;
const schedule = (options: Partial<TopologyReconcile> = {}): TopologyReconcile => ({
  name: "nightly",
  cron: "0 3 * * *",
  timezone: "UTC",
  links: "all",
  repair: "report",
  scope: "all",
  ...options,
});
const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

describe("a schedule comes due", () => {
  const at = (moment: string): number => Date.parse(moment);
  const berlin = schedule({ cron: "30 2 * * *", timezone: "Europe/Berlin" });

  test("in its own time zone, summer and winter", () => {
    expect(iso(nextDue(berlin, at("2026-01-10T12:00:00Z")))).toBe("2026-01-11T01:30:00.000Z");
    expect(iso(nextDue(berlin, at("2026-07-10T12:00:00Z")))).toBe("2026-07-11T00:30:00.000Z");
    expect(iso(lastDue(berlin, at("2026-07-10T12:00:00Z")))).toBe("2026-07-10T00:30:00.000Z");
  });

  test("once on the night whose hour is skipped, and once on the night whose hour comes twice", () => {
    expect(iso(nextDue(berlin, at("2026-03-28T12:00:00Z")))).toBe("2026-03-29T01:00:00.000Z");
    const first = nextDue(berlin, at("2026-10-24T12:00:00Z"));
    expect(iso(first)).toBe("2026-10-25T00:30:00.000Z");
    expect(iso(nextDue(berlin, first!))).toBe("2026-10-26T01:30:00.000Z");
  });

  test("at the very moment, too, and never again after a date that is over", () => {
    expect(iso(lastDue(schedule(), at("2026-06-01T03:00:00Z")))).toBe("2026-06-01T03:00:00.000Z");
    expect(iso(lastDue(schedule(), at("2026-06-01T02:59:59Z")))).toBe("2026-05-31T03:00:00.000Z");
  });
});

/** A scheduler over a pair, with the hands of its clock. */
async function scheduled(pair: Pair, schedules: readonly TopologyReconcile[], now: number) {
  const nodes = ["hub", "store"].map((name) => ({ name: nodeName(name), type: "sqlite" as const, path: `/${name}` }));
  const topology: Topology = { ...pair.link.ends.topology, nodes, reconcile: schedules };
  const timers = handTimers(now);
  const metrics = createMetrics({ version: "test", lag: new LagBook(), now: timers.now });
  declareLabels(metrics, topology);
  const stop = new AbortController();
  const log = await createLogger({ level: "silent", format: "json" });
  const current = (name: string) => (name === "hub" ? pair.parent.node : pair.child.node);
  // of the test: whoever is given it does not close it
  const open = async ({ name }: { name: string }) => ({ ...current(name), close: async () => {} });
  const running = createScheduler({ topology, open, metrics, log, timers }).run(stop.signal);
  const runs = async () => (await pair.parent.node.reconciles.runs({ limit: 20 })).map(({ name, state }) => `${name} ${state}`);
  const asleep = (): Promise<void> => until("the scheduler sleeps", () => timers.sleepers() > 0);
  return {
    runs,
    /** The clock goes on once the scheduler waits for it. */
    async advance(ms: number): Promise<void> {
      await asleep();
      timers.advance(ms);
    },
    metrics: () => metrics.registry.metrics(),
    /** Until so many runs are on record, all ended; the clock stands still meanwhile. */
    async ran(count: number): Promise<void> {
      await until(`${count} runs`, async () => {
        timers.advance(0);
        const all = await runs();
        return all.length === count && all.every((run) => !run.endsWith("running"));
      });
    },
    async stop(): Promise<void> {
      stop.abort();
      await running;
    },
  };
}

const fresh = async (): Promise<Pair> => {
  const pair = await pairOf(["postgres", "sqlite"], both("create table item (id bigint primary key, name text)"), [{ name: "item" }]);
  await pair.parent.write("insert into public.item values (1, 'one'), (2, 'two')");
  await pair.settle();
  return pair;
};

/** The records bear the database's own time, and the scheduler asks by that whether one was missed. */
const today = (): number => new Date().setUTCHours(0, 0, 0, 0);

describe("the scheduler", () => {
  test("goes by the clock when that is set back by years", async () => {
    const pair = await fresh();
    const world = await scheduled(pair, [schedule()], today() + 2 * HOUR + 3650 * 24 * HOUR);
    try {
      await world.advance(-3650 * 24 * HOUR);
      await world.advance(HOUR);
      await world.ran(1);
    } finally {
      await world.stop();
    }
  });

  test("runs what is due, tells metrics and records what it found, and waits for the next time", async () => {
    const pair = await fresh();
    const world = await scheduled(pair, [schedule()], today() + 2 * HOUR);
    try {
      await world.advance(HOUR / 2);
      await world.advance(HOUR / 4);
      expect(await world.runs()).toEqual([]);
      await world.advance(HOUR / 4);
      await world.ran(1);
      expect(await world.runs()).toEqual(["nightly clean"]);
      await world.advance(HOUR);
      await drift(pair.child, "update item set name = 'drifted' where id = 2");
      await world.advance(23 * HOUR);
      await world.ran(2);
      expect(await world.runs()).toEqual(["nightly drift", "nightly clean"]);
      const text = await world.metrics();
      expect(text).toContain('tombolo_reconcile_runs_total{name="nightly",outcome="clean"} 1');
      expect(text).toContain('tombolo_reconcile_runs_total{name="nightly",outcome="drift"} 1');
      expect(text).toContain('tombolo_reconcile_runs_total{name="nightly",outcome="failed"} 0');
      expect(text).toContain('tombolo_reconcile_rows_compared_total{child="store",table="item"} 4');
      expect(text).toContain('tombolo_reconcile_rows_differing{child="store",table="item"} 1');
      expect(text).toContain(`tombolo_reconcile_last_success_timestamp_seconds{name="nightly"} ${(today() + 3 * HOUR) / 1000}`);
    } finally {
      await world.stop();
    }
  });

  test("repairs where it is told to, while the link carries it", async () => {
    const pair = await fresh();
    await drift(pair.child, "update item set name = 'drifted' where id = 2; insert into item values (9, 'surplus')");
    const stop = new AbortController();
    const running = pair.link.run(stop.signal);
    const world = await scheduled(pair, [schedule({ repair: "parent" })], today() + 2 * HOUR);
    try {
      await world.advance(HOUR);
      await world.ran(1);
      expect(await world.runs()).toEqual(["nightly repaired"]);
      await pair.expectSame("select id, name from item order by id");
      expect(await world.metrics()).toContain('tombolo_reconcile_rows_repaired_total{child="store",table="item"} 2');
    } finally {
      await world.stop();
      stop.abort();
      await running;
    }
  });

  test("compares what has changed, where a schedule says so, and goes on from one of all rows", async () => {
    const pair = await fresh();
    const schedules = [schedule(), schedule({ name: "often", cron: "0 * * * *", scope: "changed" })];
    const world = await scheduled(pair, schedules, today() + 2.5 * HOUR);
    const scopes = async () => (await pair.parent.node.reconciles.runs({ limit: 9 })).map(({ scope, tables }) => [scope, tables[0]?.scope]);
    try {
      await world.advance(HOUR / 2);
      await world.ran(2);
      await pair.parent.write("update public.item set name = 'new' where id = 1");
      await pair.settle();
      await pair.parent.node.log.purge();
      await world.advance(HOUR);
      await world.ran(3);
      expect(await scopes()).toEqual([
        ["changed", "changed"],
        ["changed", "changed"],
        ["all", "all"],
      ]);
      const [last] = await pair.parent.node.reconciles.runs({ limit: 1 });
      expect(last?.tables).toMatchObject([{ compared: 1, differing: 0, whole: null }]);
    } finally {
      await world.stop();
    }
  });

  test("makes up once for what was missed, however often it was, and not for what has never run", async () => {
    const pair = await fresh();
    // never run: nothing to make up for
    const first = await scheduled(pair, [schedule()], today() + 4 * HOUR);
    await first.advance(HOUR);
    expect(await first.runs()).toEqual([]);
    await first.advance(23 * HOUR);
    await first.ran(1);
    await first.stop();
    // three nights later; the record is of now
    const later = await scheduled(pair, [schedule()], today() + 4 * 24 * HOUR);
    try {
      await later.ran(2);
      await later.advance(HOUR);
      await later.advance(HOUR);
      await later.advance(0);
      expect(await later.runs()).toHaveLength(2);
    } finally {
      await later.stop();
    }
  });

  test("what was interrupted is made up for; a table that is gone is told as a failure", async () => {
    const pair = await fresh();
    const id = await pair.parent.node.reconciles.begin({ name: "nightly", peer: pair.child.node.name, repair: "report" });
    await pair.parent.node.reconciles.finish(id, { state: "failed", tables: [], error: "RUN_INTERRUPTED" });
    await pair.child.write("drop table item");
    const world = await scheduled(pair, [schedule()], Date.now());
    try {
      await world.ran(2);
      expect(await world.runs()).toEqual(["nightly failed", "nightly failed"]);
      await until("the metric tells", async () =>
        (await world.metrics()).includes('tombolo_reconcile_runs_total{name="nightly",outcome="failed"} 1'),
      );
    } finally {
      await world.stop();
    }
  });

  test("two that are due at once run one after the other", async () => {
    const pair = await fresh();
    const world = await scheduled(pair, [schedule(), schedule({ name: "also", cron: "0 3 * * *" })], today() + 2 * HOUR);
    try {
      await world.advance(HOUR);
      await world.ran(2);
      const runs = await pair.parent.node.reconciles.runs({ limit: 2 });
      const [second, first] = runs;
      expect(Date.parse(first!.finishedAt!)).toBeLessThanOrEqual(Date.parse(second!.startedAt));
      expect(runs.map(({ name }) => name).sort()).toEqual(["also", "nightly"]);
    } finally {
      await world.stop();
    }
  });
});
