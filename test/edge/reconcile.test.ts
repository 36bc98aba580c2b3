import { describe, expect, test, vi } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { ChainDigest, digestOf } from "../../replicator/change/row-digest.ts";
import { EdgeAgent } from "../../replicator/edge/agent.ts";
import type { EdgeReconcileOptions } from "../../replicator/edge/edge-reconcile.ts";
import { DELETE_GUARD } from "../../replicator/reconcile/delete-guard.ts";
import type { LinkReport } from "../../replicator/reconcile/reconcile-link.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { edgeWorlds, type TestEdge } from "../helpers/edge-world.ts";
import { ask } from "../helpers/hub.ts";
import type { TestNode } from "../helpers/nodes.ts";
import { both, historyTable, PAIRS } from "../helpers/pair.ts";
import { summary } from "../helpers/reconcile.ts";

// one key that both engines sort alike, one that they do not
const SCHEMA = both(
  "create table product (id bigint primary key, name text, region text); create table tag (code text primary key not null, note text)",
);
const TABLES = [{ name: "product" }, { name: "tag" }];
const PRODUCTS = "select id, name, region from product order by id";
const TAGS = "select code, note from tag order by code";

const open = edgeWorlds({ schema: SCHEMA, tables: TABLES });
const rows = (node: TestNode, count: number): Promise<void> =>
  node.write(
    node.node.engine === "postgres"
      ? `insert into product select i, 'thing ' || i, case when i % 2 = 0 then 'north' else 'south' end from generate_series(1, ${count}) as i;
         insert into tag select 't' || i, 'n' || i from generate_series(1, ${count}) as i`
      : `insert into product with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count}) select i, 'thing ' || i, iif(i % 2 = 0, 'north', 'south') from n;
         insert into tag with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count}) select 't' || i, 'n' || i from n`,
  );
const sync = (edge: TestEdge) => edge.edge.sync(new AbortController().signal);
const reconcile = (edge: TestEdge, options: Partial<EdgeReconcileOptions> = {}): Promise<LinkReport> =>
  edge.edge.reconcile({
    name: "manual",
    repair: "report",
    tables: null,
    guard: DELETE_GUARD,
    carry: async () => void (await sync(edge)),
    signal: new AbortController().signal,
    onProgress: () => {},
    ...options,
  });

describe.each(PAIRS)("a %s hub and a %s edge, compared over HTTP", (above, below) => {
  test("equal tables are equal, and no row of them travels", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await rows(world.database, 3_000);
    await sync(edge);
    await edge.write("update product set name = 'not sent yet' where id = 5");
    await world.database.write("update product set name = 'not fetched yet' where id = 6");
    const answers: string[] = [];
    const { client } = edge.edge;
    const json = client.json.bind(client);
    client.json = async (...question) => {
      const answer = await json(...question);
      answers.push(JSON.stringify(answer));
      return answer;
    };
    expect(summary(await reconcile(edge))).toEqual([
      "clean",
      "product: 3000 compared, 0 differ, 0 repaired, 2 under way",
      "tag: 3000 compared, 0 differ, 0 repaired",
    ]);
    expect(answers.length).toBeGreaterThan(5);
    expect(answers.some((text) => text.includes("thing 17"))).toBe(false);
    await sync(edge);
    expect(summary(await reconcile(edge))[1]).toBe("product: 3000 compared, 0 differ, 0 repaired");
    const runs = await world.database.node.reconciles.runs({ limit: 5 });
    expect(runs.map(({ name, peer, state }) => [name, peer, state])).toEqual([
      ["manual", "shop", "clean"],
      ["manual", "shop", "clean"],
    ]);
  });

  test("what differs is found and becomes the hub's, with the history of it", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await rows(world.database, 500);
    await sync(edge);
    await drift(
      edge,
      "update product set name = 'drifted' where id = 7; delete from product where id = 8; insert into product values (5000, 'only here', 'north')",
    );
    await drift(edge, "update tag set note = 'drifted' where code = 't9'");
    const found = await reconcile(edge);
    expect(summary(found)).toEqual(["drift", "product: 500 compared, 3 differ, 0 repaired", "tag: 500 compared, 1 differ, 0 repaired"]);
    expect(found.tables[0]?.kinds).toEqual({ differs: 1, only_parent: 1, only_child: 1 });
    expect(summary(await reconcile(edge, { repair: "parent" }))).toEqual([
      "repaired",
      "product: 500 compared, 3 differ, 3 repaired",
      "tag: 500 compared, 1 differ, 1 repaired",
    ]);
    expect(await edge.rows(PRODUCTS)).toEqual(await world.database.rows(PRODUCTS));
    expect(await edge.rows(TAGS)).toEqual(await world.database.rows(TAGS));
    const history = await world.database.rows(
      `select table_name, kind, policy, resolved_by from ${historyTable(world.database)} order by id`,
    );
    expect(history).toEqual([
      ["product", "update_update", "reconcile", "reconcile manual of edge shop"],
      ["product", "delete_update", "reconcile", "reconcile manual of edge shop"],
      ["tag", "update_update", "reconcile", "reconcile manual of edge shop"],
    ]);
    expect(summary(await reconcile(edge))[0]).toBe("clean");
  });

  test("only what has changed is asked for, of the rows that are the edge's, and nothing of them travels but keys and digests", async () => {
    const world = await open(above, { tables: [{ name: "product", filter: "region = :region" }, { name: "tag" }], params: ["region"] });
    const edge = await world.edge("shop", { engine: below, params: { region: "north" } });
    await rows(world.database, 60);
    await sync(edge);
    const first = [
      "product: 30 compared, 0 differ, 0 repaired, all rows: first",
      "tag: 60 compared, 0 differ, 0 repaired, all rows: first",
    ];
    expect(summary(await reconcile(edge, { scope: "changed" }))).toEqual(["clean", ...first]);
    await world.database.write("update product set name = 'new name' where id <= 4; delete from tag where code = 't9'");
    await edge.write("update product set name = 'mine' where id = 8; update tag set note = 'mine' where code = 't8'");
    await sync(edge);
    for (const { node } of [world.database, edge]) await node.log.purge();
    const asked: string[] = [];
    const { client } = edge.edge;
    const json = client.json.bind(client);
    client.json = async (...question) => {
      const answer = await json(...question);
      asked.push(JSON.stringify(answer));
      return answer;
    };
    // of 2 and 4, which are the edge's, and of its own
    expect(summary(await reconcile(edge, { scope: "changed" }))).toEqual([
      "clean",
      "product: 3 changed compared, 0 differ, 0 repaired",
      "tag: 2 changed compared, 0 differ, 0 repaired",
    ]);
    expect(asked.join("")).not.toMatch(/new name|mine|\[\\"3\\"\]/);
    await drift(edge, "update product set name = 'drifted' where id = 20");
    await world.database.write("update product set name = 'again' where id = 8");
    await sync(edge);
    await drift(edge, "update product set name = 'drifted' where id = 8");
    expect(summary(await reconcile(edge, { scope: "changed", repair: "parent" }))[1]).toBe(
      "product: 1 changed compared, 1 differ, 1 repaired",
    );
    expect(summary(await reconcile(edge))[1]).toBe("product: 30 compared, 1 differ, 0 repaired");
  });

  test("the newer row counts where that is asked for, and a guard keeps an edge from being emptied", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await rows(world.database, 60);
    await sync(edge);
    await edge.write("update product set name = 'newer' where id = 3");
    await sync(edge);
    await drift(world.database, "update product set name = 'lost' where id = 3");
    expect(summary(await reconcile(edge, { repair: "newest", tables: null }))[1]).toBe("product: 60 compared, 1 differ, 1 repaired");
    expect(await edge.rows(PRODUCTS)).toEqual(await world.database.rows(PRODUCTS));
    await drift(world.database, "delete from product where id <= 30");
    expect(summary(await reconcile(edge, { repair: "parent" }))).toEqual([
      "stopped",
      "product: 60 compared, 30 differ, 0 repaired, RECONCILE_DELETES",
      "tag: 60 compared, 0 differ, 0 repaired",
    ]);
    expect(await edge.rows("select count(*) from product")).toEqual([["60"]]);
  });

  test("only the rows that are the edge's are looked at", async () => {
    const filtered = [
      { name: "product", filter: "region = :region" },
      { name: "tag", exclude: ["note"] },
    ];
    const world = await open(above, { tables: filtered, params: ["region"] });
    const edge = await world.edge("shop", { engine: below, params: { region: "north" } });
    await rows(world.database, 100);
    await sync(edge);
    expect(summary(await reconcile(edge))).toEqual([
      "clean",
      "product: 50 compared, 0 differ, 0 repaired",
      "tag: 100 compared, 0 differ, 0 repaired",
    ]);
    await drift(edge, "insert into product values (3, 'of the south', 'south'); delete from product where id = 4");
    expect(summary(await reconcile(edge, { repair: "parent" }))[1]).toBe("product: 50 compared, 2 differ, 2 repaired");
    expect(await edge.rows("select id from product where id < 7 order by id")).toEqual([["2"], ["4"], ["6"]]);
  });
});

test("a hub is asked about no table, no column and no row that is not the edge's", async () => {
  const tables = [{ name: "product", filter: "region = :region", exclude: ["name"] }];
  const world = await open("postgres", { tables, params: ["region"] });
  const edge = await world.edge("shop", { params: { region: "north" } });
  await rows(world.database, 10);
  await sync(edge);
  const [shape] = await edge.node.log.shapes(["product" as never]);
  const report = (await ask(world.hub, "GET", "/v1/nodes/shop/status", { token: edge.token })).body.report;
  const filled = { ...report, state: { ...report.state, tables: ["product"], scopes: [["product", "1"]] } };
  const question = (asked: object) =>
    ask(world.hub, "POST", "/v1/nodes/shop/compare", { token: edge.token, body: { report: filled, question: asked } });
  const everything = { from: null, to: null };
  const list = await question({ ask: "list", shape, ranges: [everything] });
  expect(list.body.rows.map(([key]: [string]) => key).sort()).toEqual(['["10"]', '["2"]', '["4"]', '["6"]', '["8"]']);
  const southern = await question({ ask: "rows", tables: [{ shape, keys: ['["3"]', '["4"]'] }] });
  expect(southern.body.tables[0].map((row: object | null) => row === null)).toEqual([true, false]);
  expect(JSON.stringify(southern.body)).not.toContain("thing");
  const wider = { ...shape, columns: [...(shape?.columns ?? []), { name: "name", type: "text", notNull: false }] };
  expect((await question({ ask: "list", shape: wider, ranges: [everything] })).body.code).toBe("SHAPES_DIFFER");
  expect((await question({ ask: "list", shape: { ...shape, table: "tag" }, ranges: [everything] })).body.code).toBe("TABLE_NOT_IN_LINK");
  const elsewhere = { ...filled, state: { ...filled.state, scopes: [["product", "77"]] } };
  const body = { report: elsewhere, question: { ask: "list", shape, ranges: [everything] } };
  expect((await ask(world.hub, "POST", "/v1/nodes/shop/compare", { token: edge.token, body })).body.code).toBe("TABLE_NOT_FILLED");
  // records of another's comparison are not to be written
  const id = await world.database.node.reconciles.begin({ name: "manual", peer: "other" as never, repair: "report" });
  await ask(world.hub, "PUT", `/v1/nodes/shop/reconcile-runs/${id}`, {
    token: edge.token,
    body: { state: "clean", tables: [], error: null },
  });
  expect((await world.database.node.reconciles.runs({ limit: 1 }))[0]).toMatchObject({ peer: "other", state: "running" });
});

test.each(PAIRS.filter(([above]) => above === "postgres"))(
  "a %s hub digests ranges for a %s edge as every version did",
  async (above, below) => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await rows(world.database, 3);
    await sync(edge);
    const ranges: unknown[] = [];
    const { client } = edge.edge;
    const json = client.json.bind(client);
    client.json = async (schema, request) => {
      const answer = await json(schema, request);
      if (String(request.body).includes('"ask":"digests"')) ranges.push((answer as { ranges: unknown }).ranges);
      return answer;
    };
    await reconcile(edge);
    const chain = new ChainDigest();
    for (const [id, region] of [
      ["1", "south"],
      ["2", "north"],
      ["3", "south"],
    ] as const)
      chain.add(digestOf([id, `thing ${id}`, region]));
    expect(ranges).toEqual([[[null, null, 3, chain.digest]]]);
  },
);

/** An agent that runs, and what its comparisons came to. */
function agentOf({ edge }: TestEdge): { readonly outcomes: readonly string[]; stop(): Promise<void> } {
  const aborted = new AbortController();
  const outcomes: string[] = [];
  const watcher = {
    ...{ status() {}, progress() {}, completed() {}, failed() {} },
    reconciled: ({ outcome }: LinkReport) => void outcomes.push(outcome),
  };
  const ended = new EdgeAgent({ edge, intervalMs: 200, watcher }).run(aborted.signal);
  return {
    outcomes,
    async stop() {
      aborted.abort();
      await ended;
    },
  };
}

test.each(["postgres", "sqlite"] as const)(
  "an agent of a %s hub's edge compares when the hub asks for it, and exchanges what is repaired",
  async (engine) => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 50);
    await sync(edge);
    await drift(edge, "update product set name = 'drifted' where id = 7");
    const { outcomes, stop } = agentOf(edge);
    const { reconciles } = world.database.node;
    await reconciles.request({ name: "nightly", peer: edge.node.name, repair: "report" });
    await reconciles.request({ name: "manual", peer: edge.node.name, repair: "parent", scope: "changed" });
    await until("both are done", () => outcomes.length === 2, 60_000);
    await stop();
    expect(outcomes).toEqual(["drift", "repaired"]);
    expect(await edge.rows(PRODUCTS)).toEqual(await world.database.rows(PRODUCTS));
    expect([...(await reconciles.requested()).keys()]).toEqual([]);
    expect((await reconciles.runs({ limit: 2 })).map(({ scope, tables }) => [scope, tables[0]?.whole])).toEqual([
      ["changed", "first"],
      ["all", null],
    ]);
  },
  90_000,
);

test.each(["postgres", "sqlite"] as const)(
  "an agent of a %s hub's edge compares what may have missed changes by itself, and only reports; where no row differs, and where it is repaired, the mark goes",
  async (engine) => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 50);
    await sync(edge);
    await edge.write("update tombolo_captured_table set state = 'must_compare', reason = 'TRIGGER_DISABLED'");
    await drift(edge, "update product set name = 'unseen' where id = 7");
    const states = async (): Promise<unknown> => edge.rows("select table_name, state from tombolo_captured_table order by table_name");
    const { outcomes, stop } = agentOf(edge);
    await until("it has compared", () => outcomes.length === 1, 60_000);
    await stop();
    expect(outcomes).toEqual(["drift"]);
    expect(await states()).toEqual([
      ["product", "must_compare"],
      ["tag", "live"],
    ]);
    expect(await edge.rows("select name from product where id = 7")).toEqual([["unseen"]]);
    const runs = await world.database.node.reconciles.runs({ limit: 5 });
    expect(runs.map(({ name, peer, state, repair }) => [name, peer, state, repair])).toEqual([["automatic", "shop", "drift", "report"]]);
    expect((await reconcile(edge, { repair: "parent" })).outcome).toBe("repaired");
    expect(await states()).toEqual([
      ["product", "live"],
      ["tag", "live"],
    ]);
  },
  90_000,
);

test.each([
  ["a line that breaks", new TomboloError("away", { code: "HUB_UNREACHABLE", kind: "connect" })],
  ["something that a person has to mend", new TomboloError("altered", { code: "TABLE_CHANGED", kind: "operator" })],
])("what an agent could not begin with, for %s, it begins with later, and others do not wait behind it for ever", async (_, error) => {
  const now = performance.now.bind(performance);
  let aheadMs = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + aheadMs);
  try {
    const world = await open("postgres");
    const edge = await world.edge("shop");
    await rows(world.database, 20);
    await sync(edge);
    const { client } = edge.edge;
    const json = client.json.bind(client);
    let failures = 0;
    client.json = async (schema, request) => {
      if (!request.path.endsWith("/reconcile-runs") || failures++ > 0) return json(schema, request);
      throw error;
    };
    const { outcomes, stop } = agentOf(edge);
    const { reconciles } = world.database.node;
    await reconciles.request({ name: "nightly", peer: edge.node.name, repair: "report" });
    await until("it has failed", () => failures > 0);
    await reconciles.request({ name: "manual", peer: edge.node.name, repair: "parent" });
    await until(
      "both are done",
      async () => {
        // it rests for a while
        aheadMs += 1_000;
        return outcomes.length === 2;
      },
      60_000,
    );
    await stop();
    expect(outcomes).toEqual(["clean", "clean"]);
    expect([...(await reconciles.requested()).keys()]).toEqual([]);
  } finally {
    clock.mockRestore();
  }
});

describe.each(["postgres", "sqlite"] as const)("a %s hub takes back what it has asked an edge to compare", (engine) => {
  test("before the edge has begun, though it has been told of it", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 20);
    await sync(edge);
    const { reconciles } = world.database.node;
    const run = await reconciles.request({ name: "manual", peer: edge.node.name, repair: "parent" });
    await drift(edge, "delete from product where id = 7");
    await reconciles.cancel(run);
    await expect(reconcile(edge, { run, repair: "parent" })).rejects.toMatchObject({ code: "RECONCILE_CANCELLED" });
    expect(await reconciles.runs({ limit: 5 })).toMatchObject([{ id: run, state: "cancelled" }]);
    expect(await edge.rows("select count(*) from product")).toEqual([["19"]]);
  });

  test("while the edge compares: nothing is repaired, and the record says so", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 20);
    await sync(edge);
    await drift(edge, "delete from product where id = 7");
    const { reconciles } = world.database.node;
    const cancel = async (): Promise<void> => {
      await sync(edge);
      const [begun] = await reconciles.runs({ limit: 1 });
      if (begun?.state === "running") await reconciles.cancel(begun.id);
    };
    // it exchanges once it has begun, before it asks anything
    await expect(reconcile(edge, { repair: "parent", carry: cancel })).rejects.toMatchObject({ code: "RECONCILE_CANCELLED" });
    expect(await reconciles.runs({ limit: 5 })).toMatchObject([{ state: "cancelled", tables: [], error: null }]);
    expect(await edge.rows("select count(*) from product")).toEqual([["19"]]);
    // another one is another one
    expect((await reconcile(edge, { repair: "parent" })).outcome).toBe("repaired");
  });
});
