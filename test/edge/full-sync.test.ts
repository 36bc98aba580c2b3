import { describe, expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { tableName } from "../../replicator/change/names.ts";
import { EdgeAgent } from "../../replicator/edge/agent.ts";
import type { EdgeFullSyncOptions } from "../../replicator/edge/edge-full-sync.ts";
import type { FullSyncWatcher } from "../../replicator/full-sync/options.ts";
import { edgeHolder } from "../../replicator/node/full-sync-runs.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { edgeWorlds, type TestEdge } from "../helpers/edge-world.ts";
import { faultyProxy } from "../helpers/faulty-proxy.ts";
import { agreeing } from "../helpers/full-sync.ts";
import { ask } from "../helpers/hub.ts";
import type { TestNode } from "../helpers/nodes.ts";
import { both, historyTable, PAIRS } from "../helpers/pair.ts";
import { random } from "../helpers/random.ts";
import { addThings } from "../helpers/things.ts";

const SCHEMA = both(
  "create table product (id bigint primary key, name text, region text); create table line (id bigint primary key, product_id bigint references product, note text)",
);
const TABLES = [{ name: "product" }, { name: "line" }];
const ALL = "select id, name, region from product order by id";

const open = edgeWorlds({ schema: SCHEMA, tables: TABLES });
const rows = (node: TestNode, from: number, to: number): Promise<void> => addThings(node, { from, to, regions: true });
const fill = (edge: TestEdge, options: Partial<EdgeFullSyncOptions> = {}) =>
  edge.edge.fullSync({
    tables: null,
    resume: false,
    backUp: false,
    watcher: agreeing,
    signal: new AbortController().signal,
    chunkRows: 100,
    ...options,
  });
const sync = (edge: TestEdge) => edge.edge.sync(new AbortController().signal);
const breaking = (atRows: number): FullSyncWatcher => ({
  ...agreeing,
  progress({ rows: there }) {
    if (there >= atRows) throw new TomboloError("the line broke", { code: "HUB_UNREACHABLE", kind: "connect" });
  },
});

describe.each(PAIRS)("a full sync over HTTP from a %s hub to a %s edge", (above, below) => {
  test("fills an empty edge, and the exchange goes on from there without a fill of its own", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await rows(world.database, 1, 1000);
    await world.database.write("insert into line values (1, 1, 'a'), (2, 1000, 'tab\ttext\\ and '' more')");
    const result = await fill(edge, { verify: true });
    expect(result).toMatchObject({ state: "done", rows: 1002, differences: 0 });
    expect(result.receipt?.applied.insert).toBe(1002);
    expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
    expect(await edge.rows("select * from line")).toEqual(await world.database.rows("select * from line"));
    expect(await sync(edge)).toMatchObject({ sent: 0, received: 0, parked: 0, conflicts: 0 });
    await world.database.write("update product set name = 'changed' where id = 7");
    await edge.write("update product set name = 'mine' where id = 8");
    expect(await sync(edge)).toMatchObject({ sent: 1, received: 1, conflicts: 0 });
    expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
    for (const [node, side] of [
      [world.database.node, "source"],
      [edge.node, "target"],
    ] as const) {
      expect((await node.copies.runs.list(5)).map((run) => [run.side, run.state, run.rows])).toEqual([[side, "done", 1002]]);
    }
  });

  test("makes an edge that has drifted equal, keeps what it replaces, and leaves what the hub has not heard of", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await rows(world.database, 1, 50);
    await sync(edge);
    await drift(
      edge,
      "update product set name = 'drifted' where id = 3; delete from product where id = 4; insert into product values (99, 'only here', 'north')",
    );
    await edge.write(
      "update product set name = 'mine' where id = 5; insert into product values (60, 'new', 'north'); delete from product where id = 6",
    );
    await world.database.write("update product set name = 'hub' where id = 9");
    const result = await fill(edge);
    expect(result.receipt?.applied).toMatchObject({ update: 2, delete: 1 });
    expect(await edge.rows("select name from product where id in (3, 4, 5, 6, 9, 60, 99) order by id")).toEqual([
      ["thing 3"],
      ["thing 4"],
      ["mine"],
      ["hub"],
      ["new"],
    ]);
    expect(await edge.rows(`select kind, resolution from ${historyTable(edge)} order by kind`)).toContainEqual(["delete_update", "parent"]);
    expect(await sync(edge)).toMatchObject({ sent: 3, conflicts: 0, parked: 0 });
    expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
    expect(await world.database.rows("select name from product where id in (5, 6, 60) order by id")).toEqual([["mine"], ["new"]]);
  });

  test("goes on from where the line broke, with what has changed meanwhile on either side of that", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await rows(world.database, 1, 1000);
    await expect(fill(edge, { watcher: breaking(500) })).rejects.toMatchObject({ code: "HUB_UNREACHABLE" });
    expect(await edge.rows("select count(*) from product")).toEqual([["0"]]);
    await world.database.write(
      `update product set name = 'early' where id = 10; update product set name = 'late' where id = 900; delete from product where id in (20, 910);
       insert into product values (0, 'before all', 'north'), (2000, 'after all', 'north')`,
    );
    expect(await edge.edge.interrupted(new AbortController().signal)).toMatchObject({ tables: ["product", "line"], direction: "pull" });
    const seen: number[] = [];
    const watcher: FullSyncWatcher = { ...agreeing, progress: ({ phase, rows: there }) => void (phase === "copy" && seen.push(there)) };
    expect(await fill(edge, { resume: true, watcher })).toMatchObject({ state: "done", resumed: true });
    expect(seen[0]).toBeGreaterThanOrEqual(500);
    expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
    expect(await edge.edge.interrupted(new AbortController().signal)).toBeNull();
    expect(await sync(edge)).toMatchObject({ sent: 0, received: 0, conflicts: 0 });
  });

  test("gives an edge its own rows only", async () => {
    const filtered = [{ name: "product", filter: "region = :region" }, { name: "line" }];
    const world = await open(above, { tables: filtered, params: ["region"] });
    const edge = await world.edge("shop", { engine: below, params: { region: "north" } });
    await rows(world.database, 1, 100);
    expect(await fill(edge, { tables: [tableName("product")] })).toMatchObject({ rows: 50 });
    expect(await edge.rows("select distinct region from product")).toEqual([["north"]]);
    await sync(edge);
    await edge.write("update product set name = 'mine' where id = 2");
    expect(await sync(edge)).toMatchObject({ sent: 1, conflicts: 0, parked: 0 });
    expect(await world.database.rows("select name from product where id = 2")).toEqual([["mine"]]);
    await expect(fill(edge, { tables: [tableName("secret")] })).rejects.toMatchObject({ code: "FULL_SYNC_TABLES" });
  });
});

describe.each(["postgres", "sqlite"] as const)("an agent of a %s hub's edge", (engine) => {
  const agentOf = (edge: TestEdge, signal: AbortSignal, progress: (rows: number) => void = () => {}) => {
    const failed: unknown[] = [];
    const agent = new EdgeAgent({
      edge: edge.edge,
      intervalMs: 200,
      watcher: {
        status() {},
        progress() {},
        completed() {},
        failed: (error) => void failed.push(error),
        fullSync: ({ rows: there }) => progress(there),
      },
    });
    return { failed, ended: agent.run(signal) };
  };

  test("does the full sync that the hub asks for, and exchanges meanwhile and afterwards", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 1, 300);
    await sync(edge);
    await drift(edge, "delete from product where id > 200");
    const stop = new AbortController();
    const { failed, ended } = agentOf(edge, stop.signal);
    const { runs } = world.database.node.copies;
    const wish = { peer: edge.node.name, side: "source", direction: "pull", tables: [tableName("product"), tableName("line")] } as const;
    const id = await runs.request(wish, "a person");
    await until("the full sync is done", async () => (await runs.find(id))?.state === "done");
    expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
    await edge.write("update product set name = 'after' where id = 250");
    await until(
      "the change is at the hub",
      async () => (await world.database.rows("select name from product where id = 250"))[0]?.[0] === "after",
    );
    expect([...(await runs.requested()).keys()]).toEqual([]);
    stop.abort();
    await ended;
    expect(failed).toEqual([]);
  });

  /** Before the edge asks the hub anything for a comparison. */
  const onCompare = (edge: TestEdge, work: () => Promise<unknown>): void => {
    const { client } = edge.edge;
    const json = client.json.bind(client);
    let isFirst = true;
    client.json = async (schema, request) => {
      const isNow = isFirst && request.path.includes("/compare");
      if (isNow) isFirst = false;
      if (isNow) await work();
      return json(schema, request);
    };
  };
  const wish = (edge: TestEdge) =>
    ({
      ...({ peer: edge.node.name, side: "source", direction: "pull" } as const),
      tables: [tableName("product"), tableName("line")],
      terms: { verify: true },
    }) as const;

  test("compares both sides afterwards where the hub wants that, and the hub knows what came of it", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 1, 300);
    await sync(edge);
    const stop = new AbortController();
    const { failed, ended } = agentOf(edge, stop.signal);
    const { runs } = world.database.node.copies;
    const equal = await runs.request(wish(edge), "a person");
    await until("the first is done", async () => (await runs.find(equal))?.state === "done");
    expect(await runs.find(equal)).toMatchObject({ differing: 0, error: null });
    onCompare(edge, () => drift(edge, "delete from product where id > 297"));
    const other = await runs.request(wish(edge), "a person");
    await until("the second is done", async () => (await runs.find(other))?.state === "done");
    expect(await runs.find(other)).toMatchObject({ differing: 3, terms: { verify: true } });
    stop.abort();
    await ended;
    expect(failed).toEqual([]);
    expect(await edge.node.copies.runs.list(2)).toMatchObject([{ differing: 3, terms: { verify: true } }, { differing: 0 }]);
    const status = (await ask(world.hub, "GET", "/v1/status", { token: "viewer" })).body;
    expect(status.edges).toMatchObject([{ edge: "shop", full_sync: { source: "hub", state: "done", differing: 3 } }]);
  });

  test("one that could not be compared afterwards is done all the same, says so, and is not copied again", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 1, 300);
    await sync(edge);
    await drift(edge, "delete from product where id > 200");
    onCompare(edge, () => Promise.reject(new TomboloError("the line broke", { code: "HUB_UNREACHABLE", kind: "connect" })));
    const { runs } = world.database.node.copies;
    const id = await runs.request(wish(edge), "a person");
    const stop = new AbortController();
    const { failed, ended } = agentOf(edge, stop.signal);
    await until("it is done", async () => (await runs.find(id))?.state === "done");
    await until("the agent says so", () => failed.length > 0);
    stop.abort();
    await ended;
    expect(failed).toMatchObject([{ code: "FULL_SYNC_UNVERIFIED" }]);
    expect(await runs.find(id)).toMatchObject({ differing: null, error: expect.stringContaining("the line broke (HUB_UNREACHABLE)") });
    expect(await edge.edge.interrupted(new AbortController().signal)).toBeNull();
    expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
  });

  test("goes on, after it was stopped in the middle, with what it has; cancelled at the hub it gives up", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 1, 35_000);
    const { runs } = world.database.node.copies;
    const wish = { peer: edge.node.name, side: "source", direction: "pull", tables: [tableName("product"), tableName("line")] } as const;
    const first = await runs.request(wish, "a person");
    const stop = new AbortController();
    await agentOf(edge, stop.signal, (there) => there >= 10_000 && stop.abort()).ended;
    expect((await edge.node.copies.runs.list(1))[0]).toMatchObject({ state: "interrupted" });
    const again = new AbortController();
    const seen: number[] = [];
    const { ended } = agentOf(edge, again.signal, (there) => void seen.push(there));
    await until("the full sync is done", async () => (await runs.find(first))?.state === "done");
    again.abort();
    await ended;
    expect(seen.find((there) => there > 0)).toBeGreaterThanOrEqual(10_000);
    expect(await edge.rows("select count(*), sum(id) from product")).toEqual(
      await world.database.rows("select count(*), sum(id) from product"),
    );
    const second = await runs.request(wish, "a person");
    const third = new AbortController();
    const cancelled: Promise<void>[] = [];
    const other = agentOf(edge, third.signal, () => void (cancelled.length === 0 && cancelled.push(runs.cancel(second))));
    await until("it is cancelled", async () => other.failed.length > 0);
    third.abort();
    await other.ended;
    expect(other.failed).toMatchObject([{ code: "FULL_SYNC_CANCELLED" }]);
    expect(await edge.edge.interrupted(new AbortController().signal)).toBeNull();
  });
});

describe("over a bad line", () => {
  test("whatever happens to the bytes, a full sync that goes on comes to an end, with the hub's rows", async () => {
    const world = await open("postgres");
    const { int, pick } = random(7);
    const kinds = ["lose answer", "truncate", "flip answer", "flip request", "none"] as const;
    const proxy = await faultyProxy(world.hub.url, () => {
      const kind = pick(kinds);
      return kind === "none" ? { kind } : { kind, after: int(12_000) };
    });
    try {
      const edge = await world.edge("shop", { url: proxy.url });
      await rows(world.database, 1, 2_000);
      const attempt = async (): Promise<boolean> => {
        try {
          return (await fill(edge, { resume: true })).state === "done";
        } catch {
          await world.database.write("update product set name = name || '+' where id % 97 = 1");
          return false;
        }
      };
      let attempts = 0;
      while (!(await attempt())) if (++attempts > 200) throw new Error("it never ended");
      expect([...proxy.fates.keys()].some((kind) => kind !== "none")).toBe(true);
      const direct = world.agent(edge, edge.token);
      await direct.sync(new AbortController().signal);
      expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
    } finally {
      await proxy.close();
    }
  });
});

describe("an edge", () => {
  test("sees nothing of another's full sync, and no table that is not its own", async () => {
    const world = await open("sqlite");
    const [mine, other] = [await world.edge("mine"), await world.edge("other")];
    await rows(world.database, 1, 10);
    const { runs } = world.database.node.copies;
    await sync(mine);
    await sync(other);
    const { id } = await runs.begin({
      ...{ peer: mine.node.name, side: "source", direction: "pull", tables: [tableName("product")], resume: false },
      holder: edgeHolder(mine.node.name),
    });
    const body = { position: null, tables: [], chunk_rows: 10 };
    const of = (node: string, token: string) => ask(world.hub, "POST", `/v1/nodes/${node}/full-sync/${id}/rows`, { token, body });
    expect(await of("mine", other.token)).toMatchObject({ status: 403, body: { code: "NODE_FORBIDDEN" } });
    expect(await of("other", other.token)).toMatchObject({ status: 409, body: { code: "FULL_SYNC_LOST" } });
    expect((await of("mine", mine.token)).status).toBe(200);
    const end = { state: "cancelled", error: null };
    const note = { phase: "copy", rows: 1, bytes: 1, estimated_rows: 1, position: null, end };
    expect((await ask(world.hub, "PUT", `/v1/nodes/other/full-sync/${id}`, { token: other.token, body: note })).body).toMatchObject({
      code: "FULL_SYNC_LOST",
    });
    expect(await runs.find(id)).toMatchObject({ state: "running" });
  });
});
