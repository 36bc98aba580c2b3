import { afterEach, expect, test } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { sleep } from "../../replicator/link/sleep.ts";
import { RUNS_KEPT } from "../../replicator/node/reconcile-desk.ts";
import { DELETE_GUARD } from "../../replicator/reconcile/delete-guard.ts";
import { reconcileLinks } from "../../replicator/reconcile/reconcile-links.ts";
import { drift } from "../helpers/drift.ts";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";
import { closeAfterEach, nodeOf } from "../helpers/pair.ts";

closeAfterEach();
const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

const TABLES: TestTable[] = [{ name: "item" }];

/** A hub, a region below it, a store below that, and another store beside the region. */
async function tree() {
  const hub = await postgresNode("hub", "create table item (id bigint primary key, name text)", TABLES);
  const region = await postgresNode("region", "create table item (id bigint primary key, name text)", TABLES);
  const store = await sqliteNode("store", "create table item (id integer primary key, name text)", TABLES);
  const beside = await sqliteNode("beside", "create table item (id integer primary key, name text)", TABLES);
  open.push(hub, region, store, beside);
  const nodes = new Map([hub, region, store, beside].map((node) => [node.node.name, node]));
  const links = [
    testLink(region.node, store.node, TABLES),
    testLink(hub.node, region.node, TABLES),
    testLink(hub.node, beside.node, TABLES),
  ];
  const settle = async (): Promise<number> => {
    let all = 0;
    for (let moved = 1; moved > 0; all += moved) {
      moved = 0;
      for (const link of links) {
        const { sent, received } = await link.settle();
        moved += sent + received;
      }
    }
    return all;
  };
  await hub.write("insert into item values (1, 'one'), (2, 'two'), (3, 'three')");
  await settle();
  const topology = { ...links[0]!.ends.topology, links: links.map(({ ends }) => ends.link) };
  const reconcile = (repair: "report" | "parent") =>
    reconcileLinks({
      ...{ topology, links: topology.links, name: "manual", repair, tables: null, guard: DELETE_GUARD, sleep, now: Date.now },
      node: async (name) => nodes.get(name)!.node,
      carry: async () => void (await settle()),
      signal: new AbortController().signal,
      onProgress: () => {},
      onReport: () => {},
    });
  const rows = async (): Promise<string[]> =>
    Promise.all([hub, region, store, beside].map(async (node) => (await node.rows("select id, name from item order by id")).join(" ")));
  const marks = async (): Promise<string[]> =>
    Promise.all([hub, region, store, beside].map(async ({ node }) => (await node.installation.status()).tables[0]!.state));
  return { hub, region, store, beside, settle, reconcile, rows, marks };
}

test("a tree is mended from the root down: what was repaired above reaches the leaves, and no node hears of what it has", async () => {
  const { region, store, beside, settle, reconcile, rows } = await tree();
  await drift(region, "update item set name = 'drifted' where id = 1; insert into item values (8, 'surplus')");
  await drift(store, "delete from item where id = 2");
  await drift(beside, "update item set name = 'beside' where id = 3");
  const found = await reconcile("report");
  expect(found.map(({ link, report }) => `${link.child} ${report?.outcome} ${report?.tables[0]?.differing}`)).toEqual([
    "region drift 2",
    "beside drift 1",
    "store drift 3",
  ]);
  const repaired = await reconcile("parent");
  expect(repaired.map(({ report }) => report?.outcome).includes("drift")).toBe(false);
  const [first, ...others] = await rows();
  expect(first).toBe("1,one 2,two 3,three");
  expect(new Set(others)).toEqual(new Set([first]));
  expect(await settle()).toBe(0);
  expect((await reconcile("report")).map(({ report }) => report?.outcome)).toEqual(["clean", "clean", "clean"]);
});

test("a mark goes where the link above is equal; at the root, where all below are", async () => {
  const { hub, region, beside, reconcile, marks } = await tree();
  const mark = "update tombolo.captured_table set state = 'must_compare', reason = 'TRIGGER_DISABLED'";
  await hub.write(mark);
  await region.write(mark);
  await drift(beside, "update item set name = 'beside' where id = 3");
  await reconcile("report");
  expect(await marks()).toEqual(["must_compare", "live", "live", "live"]);
  await reconcile("parent");
  expect(await marks()).toEqual(["live", "live", "live", "live"]);
});

test.each(["postgres", "sqlite"] as const)(
  "%s: a run that never ended is told as failed by the next one, and records do not pile up",
  async (engine) => {
    const schema = { postgres: "create table public.item (id bigint primary key)", sqlite: "create table item (id integer primary key)" };
    const { node, ...hub } = await nodeOf(engine, "hub", schema, TABLES);
    const peer = nodeName("store");
    const killed = await node.reconciles.begin({ name: "nightly", peer, repair: "report" });
    const next = await node.reconciles.begin({ name: "nightly", peer, repair: "report" });
    await node.reconciles.finish(next, { state: "clean", tables: [], error: null });
    const runs = await node.reconciles.runs({ limit: 5 });
    expect(runs.map(({ id, state }) => [id, state])).toEqual([
      [next, "clean"],
      [killed, "failed"],
    ]);
    expect(runs[1]?.error).toContain("never ended");
    const table = engine === "postgres" ? "tombolo.reconcile_run" : "tombolo_reconcile_run";
    const many = `with recursive s(n) as (select 1 union all select n + 1 from s where n < ${RUNS_KEPT + 50}) insert into ${table} (name, peer, repair, state, started_at, tables)`;
    await hub.write(`${many} select 'often', 'store', 'report', 'clean', '2026-01-01T00:00:00Z', '[]' from s`);
    await node.reconciles.begin({ name: "often", peer, repair: "report" });
    expect(await node.reconciles.runs({ name: "often", limit: 10_000 })).toHaveLength(RUNS_KEPT);
    expect(await node.reconciles.runs({ name: "nightly", limit: 10 })).toHaveLength(2);
    await node.reconciles.compared([{ table: tableName("item"), reason: null }]);
    expect((await node.installation.status()).tables[0]?.state).toBe("live");
  },
);
