import { afterEach, describe, expect, test } from "vitest";
import { drift } from "../helpers/drift.ts";
import { type EdgeWorld, edgeWorld, type TestEdge } from "../helpers/edge-world.ts";
import { both } from "../helpers/pair.ts";

const TABLES = [{ name: "item", policy: "child_wins" as const }];

describe.each(["postgres", "sqlite"] as const)("the metrics of a %s hub", (engine) => {
  let world: EdgeWorld;
  afterEach(() => world.close());

  const scrape = async (): Promise<ReadonlyMap<string, number>> => {
    const answer = await fetch(`${world.hub.url}/v1/metrics`, { headers: { authorization: "Bearer viewer" } });
    const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
  };
  const exchange = (edge: TestEdge) => edge.edge.exchange({ final: true, signal: new AbortController().signal });

  test("tell of its edges by their group: batches, changes, conflicts, delays and lag", async () => {
    world = await edgeWorld({ engine, schema: both("create table item (id bigint primary key, note text)"), tables: TABLES });
    const [one, two] = [await world.edge("one"), await world.edge("two")];
    for (const each of [one, two]) await each.edge.sync(new AbortController().signal);
    const before = await scrape();
    const grown = async (name: string): Promise<number> => ((await scrape()).get(name) ?? 0) - (before.get(name) ?? 0);
    await world.database.write("insert into item values (1, 'hub')");
    await exchange(one);
    // handed on, and not confirmed yet: it lags
    const down = 'source="hub",target="edges"';
    expect(await grown(`tombolo_changes_applied_total{${down},op="insert"}`)).toBe(0);
    expect((await scrape()).get(`tombolo_replication_lag_seconds{${down}}`)).toBeGreaterThan(0);
    await exchange(one);
    expect(await grown(`tombolo_changes_applied_total{${down},op="insert"}`)).toBe(1);
    expect((await scrape()).get(`tombolo_replication_lag_seconds{${down}}`)).toBe(0);
    for (const each of [one, two]) await each.edge.sync(new AbortController().signal);
    expect(await grown(`tombolo_changes_applied_total{${down},op="insert"}`)).toBe(2);
    expect(await grown(`tombolo_replication_delay_seconds_count{${down}}`)).toBe(2);

    const up = 'source="edges",target="hub"';
    await world.database.write("update item set note = 'hub again' where id = 1");
    await two.write("update item set note = 'edge' where id = 1");
    await two.edge.sync(new AbortController().signal);
    expect(await grown(`tombolo_changes_applied_total{${up},op="update"}`)).toBe(1);
    expect(await grown(`tombolo_batches_total{${up},outcome="applied"}`)).toBeGreaterThanOrEqual(1);
    expect(await grown(`tombolo_batch_apply_duration_seconds_count{${up}}`)).toBeGreaterThanOrEqual(1);
    expect(await grown('tombolo_batch_bytes_count{state="raw"}')).toBeGreaterThanOrEqual(1);
    expect(await grown('tombolo_conflicts_total{child="edges",table="item",kind="update_update",resolution="child"}')).toBe(1);
    const after = await scrape();
    expect(after.get(`tombolo_replication_lag_seconds{${up}}`)).toBe(0);
    expect(after.get(`tombolo_last_applied_timestamp_seconds{${up}}`)).toBeGreaterThan(1.7e9);
    expect([...after.keys()].filter((name) => /="(one|two)"/.test(name))).toEqual([]);
  });

  test("count what full syncs bring to edges, and what scheduled comparisons find there, by group", async () => {
    world = await edgeWorld({ engine, schema: both("create table item (id bigint primary key, note text)"), tables: TABLES });
    (world.topology.reconcile as object[]).push({ name: "nightly", cron: "0 3 * * *", repair: "report", scope: "all", links: "all" });
    const edges = [await world.edge("one"), await world.edge("two")];
    await world.database.write("insert into item values (1, 'a'), (2, 'b'), (3, 'c')");
    const signal = new AbortController().signal;
    const watcher = { progress() {}, note() {}, goAhead: async () => true };
    for (const { edge } of edges) {
      await edge.fullSync({ tables: null, resume: false, backUp: false, watcher, signal });
      await edge.sync(signal);
    }
    expect((await scrape()).get('tombolo_full_sync_rows_total{node="edges",direction="pull"}')).toBe(6);
    const compare = async (): Promise<ReadonlyMap<string, number>> => {
      for (const { edge, node } of edges) {
        await world.database.node.reconciles.request({ name: "nightly", peer: node.name, repair: "report", scope: "all" });
        await edge.sync(signal);
      }
      return scrape();
    };
    const of = '{child="edges",table="item"}';
    for (const [at, each] of edges.entries()) await drift(each, `delete from item where id <= ${at + 1}`);
    const found = await compare();
    expect(found.get(`tombolo_reconcile_rows_differing${of}`)).toBe(1 + 2);
    expect(found.get('tombolo_reconcile_runs_total{name="nightly",outcome="drift"}')).toBe(2);
    await drift(edges[1] as TestEdge, "insert into item values (1, 'a'), (2, 'b')");
    expect((await compare()).get(`tombolo_reconcile_rows_differing${of}`)).toBe(1);
    // somebody who asks is no schedule
    await world.database.node.reconciles.request({
      name: "manual",
      peer: (edges[0] as TestEdge).node.name,
      repair: "report",
      scope: "all",
    });
    await (edges[0] as TestEdge).edge.sync(signal);
    expect((await scrape()).get('tombolo_reconcile_runs_total{name="nightly",outcome="drift"}')).toBe(3);
  });
});
