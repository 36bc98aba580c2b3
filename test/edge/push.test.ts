import { describe, expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { tableName } from "../../replicator/change/names.ts";
import { EdgeAgent } from "../../replicator/edge/agent.ts";
import type { EdgeFullSyncOptions } from "../../replicator/edge/edge-full-sync.ts";
import type { FullSyncWatcher } from "../../replicator/full-sync/options.ts";
import type { RunTerms } from "../../replicator/node/full-sync-runs.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { type EdgeWorld, edgeWorlds, type TestEdge } from "../helpers/edge-world.ts";
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
const SIGNAL = new AbortController().signal;

const open = edgeWorlds({ schema: SCHEMA, tables: TABLES });
const rows = (node: TestNode, from: number, to: number): Promise<void> => addThings(node, { from, to, regions: true });
/** As the hub's operator asks for it. */
const wish = (world: EdgeWorld, edge: TestEdge, terms: RunTerms = {}, tables = ["product", "line"]): Promise<bigint> =>
  world.database.node.copies.runs.request(
    { peer: edge.node.name, side: "target", direction: "push", tables: tables.map(tableName), terms },
    "a person",
  );
const push = (edge: TestEdge, options: Partial<EdgeFullSyncOptions> = {}) =>
  edge.edge.fullSync({
    direction: "push",
    tables: null,
    resume: false,
    backUp: false,
    watcher: agreeing,
    signal: SIGNAL,
    chunkRows: 100,
    ...options,
  });
const sync = (edge: TestEdge) => edge.edge.sync(SIGNAL);
const breaking = (atRows: number): FullSyncWatcher => ({
  ...agreeing,
  progress({ rows: there }) {
    if (there >= atRows) throw new TomboloError("the line broke", { code: "HUB_UNREACHABLE", kind: "connect" });
  },
});
const staged = async (world: EdgeWorld): Promise<number> =>
  world.database.node.engine === "postgres"
    ? Number((await world.database.rows("select count(*) from tombolo.full_sync_table"))[0]?.[0])
    : 0;

describe.each(PAIRS)("a push over HTTP to a %s hub from a %s edge", (above, below) => {
  test("gives a hub that has lost its rows what the edge has, and the exchange goes on from there", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await sync(edge);
    await drift(edge, "insert into product values (1, 'a', 'n'), (2, 'tab\ttext\\ and '' more', 's'), (3, null, 'n')");
    await wish(world, edge);
    const result = await push(edge, { verify: true });
    expect(result).toMatchObject({ state: "done", source: "shop", target: "hub", rows: 3, differences: 0 });
    expect(result.receipt?.applied.insert).toBe(3);
    expect(await world.database.rows(ALL)).toEqual(await edge.rows(ALL));
    expect(await sync(edge)).toMatchObject({ sent: 0, received: 0, parked: 0, conflicts: 0 });
    await world.database.write("update product set name = 'from above' where id = 1");
    await edge.write("update product set name = 'from below' where id = 2; delete from product where id = 3");
    expect(await sync(edge)).toMatchObject({ sent: 2, received: 1, conflicts: 0, parked: 0 });
    expect(await world.database.rows(ALL)).toEqual(await edge.rows(ALL));
    for (const [node, side] of [
      [world.database.node, "target"],
      [edge.node, "source"],
    ] as const) {
      expect((await node.copies.runs.list(5)).map((run) => [run.side, run.direction, run.state, run.rows])).toEqual([
        [side, "push", "done", 3],
      ]);
    }
    expect(await staged(world)).toBe(0);
  });

  test("takes the hub over, keeps what it replaces, leaves what the edge has not heard of, and tells the other edges", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    const other = await world.edge("other");
    await world.database.write("insert into product values (1, 'a', 'n'), (2, 'b', 's'), (3, 'c', 'n'), (4, 'd', 'n')");
    await sync(edge);
    await sync(other);
    await drift(
      world.database,
      "update product set name = 'drifted' where id = 1; delete from product where id = 2; insert into product values (9, 'only above', 'n')",
    );
    await world.database.write(
      "update product set name = 'not received yet' where id = 3; insert into product values (5, 'new above', 'n')",
    );
    await edge.write("update product set region = 'w' where id = 4");
    await wish(world, edge);
    const result = await push(edge);
    expect(result.receipt?.applied).toMatchObject({ insert: 2, delete: 1 });
    expect(await world.database.rows(`select kind, resolution, resolved_by from ${historyTable(world.database)} order by kind`)).toEqual([
      ["insert_insert", "child", "full-sync"],
      ["insert_insert", "child", "full-sync"],
      ["update_delete", "child", "full-sync"],
    ]);
    expect(await sync(edge)).toMatchObject({ conflicts: 0, parked: 0 });
    await sync(other);
    const expected = [
      ["1", "a", "n"],
      ["2", "b", "s"],
      ["3", "not received yet", "n"],
      ["4", "d", "w"],
      ["5", "new above", "n"],
    ];
    for (const node of [world.database, edge, other]) expect(await node.rows(ALL)).toEqual(expected);
  });

  test("goes on from where the line broke, with what has changed meanwhile on either side of that", async () => {
    const world = await open(above);
    const edge = await world.edge("shop", { engine: below });
    await sync(edge);
    await rows(edge, 1, 1000);
    await wish(world, edge);
    await expect(push(edge, { watcher: breaking(500) })).rejects.toMatchObject({ code: "HUB_UNREACHABLE" });
    expect(await world.database.rows("select count(*) from product")).toEqual([["0"]]);
    await edge.write(
      `update product set name = 'early' where id = 10; update product set name = 'late' where id = 900; delete from product where id in (20, 910);
       insert into product values (0, 'before all', 'north'), (2000, 'after all', 'north')`,
    );
    expect(await edge.edge.interrupted(SIGNAL)).toMatchObject({ tables: ["product", "line"], direction: "push" });
    const seen: number[] = [];
    const watcher: FullSyncWatcher = { ...agreeing, progress: ({ phase, rows: there }) => void (phase === "copy" && seen.push(there)) };
    expect(await push(edge, { resume: true, watcher })).toMatchObject({ state: "done", resumed: true });
    expect(seen[0]).toBeGreaterThanOrEqual(500);
    expect(await world.database.rows(ALL)).toEqual(await edge.rows(ALL));
    expect(await edge.edge.interrupted(SIGNAL)).toBeNull();
    expect(await sync(edge)).toMatchObject({ sent: 0, received: 0, conflicts: 0 });
  });

  test("touches no row but the edge's own, whatever the edge holds", async () => {
    const filtered = [{ name: "product", filter: "region = :region" }];
    const world = await open(above, { tables: filtered, params: ["region"] });
    const edge = await world.edge("shop", { engine: below, params: { region: "north" } });
    await world.database.write("insert into product values (1, 'a', 'north'), (2, 'b', 'south'), (3, 'c', 'south')");
    await sync(edge);
    await drift(
      edge,
      `delete from product where id = 1;
       insert into product values (2, 'taken', 'north'), (3, 'stolen', 'south'), (5, 'only below', 'north'), (7, 'not its own', 'south')`,
    );
    await wish(world, edge, {}, ["product"]);
    expect(await push(edge)).toMatchObject({ state: "done" });
    expect(await world.database.rows(ALL)).toEqual([
      ["2", "b", "south"],
      ["3", "c", "south"],
      ["5", "only below", "north"],
    ]);
  });
});

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  test("takes nothing over that nobody asked for where the hub wins, and what the edge may decide anyway", async () => {
    const world = await open(engine, { tables: [{ name: "product" }, { name: "line", policy: "child_wins" }] });
    const edge = await world.edge("shop");
    await sync(edge);
    await drift(edge, "insert into product values (1, 'a', 'n')");
    await expect(push(edge)).rejects.toMatchObject({ code: "FULL_SYNC_NOT_ASKED" });
    await expect(push(edge, { resume: true })).rejects.toMatchObject({ code: "FULL_SYNC_NOT_ASKED" });
    await wish(world, edge, {}, ["line"]);
    await expect(push(edge)).rejects.toMatchObject({ code: "FULL_SYNC_NOT_ASKED" });
    expect(await world.database.rows(ALL)).toEqual([]);
    expect(await push(edge, { tables: [tableName("line")] })).toMatchObject({ state: "done" });
    expect(await push(edge, { tables: [tableName("line")] })).toMatchObject({ state: "done" });
  });

  test("is not emptied by an edge that was, unless its operator agreed to that many rows", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await rows(world.database, 1, 50);
    await sync(edge);
    await drift(edge, "delete from product where id > 20");
    await wish(world, edge);
    await expect(push(edge)).rejects.toMatchObject({ code: "FULL_SYNC_DELETES", message: expect.stringContaining("30 rows") });
    await wish(world, edge, { mayRemove: 29 });
    await expect(push(edge)).rejects.toMatchObject({ code: "FULL_SYNC_DELETES" });
    expect(await world.database.rows("select count(*) from product")).toEqual([["50"]]);
    expect((await world.database.node.copies.runs.list(1))[0]).toMatchObject({ state: "failed" });
    await wish(world, edge, { mayRemove: 30 });
    expect(await push(edge)).toMatchObject({ state: "done" });
    expect(await world.database.rows("select count(*) from product")).toEqual([["20"]]);
    expect(await staged(world)).toBe(0);
  });

  test("keeps what other edges have brought where tables only travel up", async () => {
    const world = await open(engine, { direction: "up" });
    const [mine, other] = [await world.edge("mine"), await world.edge("other")];
    await mine.write("insert into product values (1, 'mine', 'n')");
    await other.write("insert into product values (2, 'of the other', 'n')");
    await sync(mine);
    await sync(other);
    await drift(world.database, "delete from product where id = 1");
    expect(await push(mine)).toMatchObject({ state: "done" });
    expect(await world.database.rows("select id, name from product order by id")).toEqual([
      ["1", "mine"],
      ["2", "of the other"],
    ]);
  });

  test("takes over one edge at a time, and nothing of another's run", async () => {
    const world = await open(engine);
    const [mine, other] = [await world.edge("mine"), await world.edge("other")];
    await sync(mine);
    await sync(other);
    await rows(mine, 1, 500);
    await wish(world, mine);
    await wish(world, other);
    let run = 0n;
    const second: Promise<unknown>[] = [];
    const watcher: FullSyncWatcher = {
      ...agreeing,
      async goAhead() {
        run = (await world.database.node.copies.runs.list(5)).find(({ state }) => state === "running")?.id ?? 0n;
        second.push(push(other).catch((error: unknown) => error));
        await second[0];
        const body = { shapes: await other.node.log.shapes([tableName("product"), tableName("line")]) };
        const path = (node: string) => `/v1/nodes/${node}/full-sync-push/${run}/stage`;
        second.push(ask(world.hub, "POST", path("other"), { token: other.token, body }));
        second.push(ask(world.hub, "POST", path("mine"), { token: other.token, body }));
        await Promise.all(second);
        return true;
      },
    };
    expect(await push(mine, { watcher })).toMatchObject({ state: "done" });
    expect(await Promise.all(second)).toMatchObject([
      { code: "FULL_SYNC_RUNS" },
      { status: 409, body: { code: "FULL_SYNC_LOST" } },
      { status: 403, body: { code: "NODE_FORBIDDEN" } },
    ]);
    expect(await push(other, { watcher: { ...agreeing, goAhead: async () => false } })).toMatchObject({ state: "cancelled" });
  });

  test("takes a chunk once, and columns only that travel", async () => {
    const tables = [{ name: "product", exclude: ["region"] }];
    const world = await open(engine, { tables });
    const edge = await world.edge("shop");
    await sync(edge);
    await wish(world, edge, {}, ["product"]);
    const begin = { tables: ["product"], report: await reportOf(world, edge) };
    const { run } = (await ask(world.hub, "POST", "/v1/nodes/shop/full-sync-push", { token: edge.token, body: begin })).body;
    const [shape] = await edge.node.log.shapes([tableName("product")]);
    const path = `/v1/nodes/shop/full-sync-push/${run}`;
    const { jsonFrame, rowFrames, ROWS_TYPE } = await import("../../replicator/full-sync/copy-frames.ts");
    const send = async (head: object, line: string): Promise<{ status: number; code?: string; rows?: number }> => {
      const frames = [jsonFrame(head)];
      for await (const frame of rowFrames(
        (async function* () {
          yield Buffer.from(line);
        })(),
        "none",
      ))
        frames.push(frame);
      const headers = { authorization: `Bearer ${edge.token}`, "content-type": ROWS_TYPE };
      const answer = await fetch(`${world.hub.url}${path}/rows`, { method: "POST", headers, body: new Uint8Array(Buffer.concat(frames)) });
      return { status: answer.status, ...((await answer.json()) as object) };
    };
    const chunk = { shapes: [shape], table: "product", after: null, up_to: '["1"]' };
    const line = "i1\tsa\n";
    const twice = await Promise.all([send(chunk, line), send(chunk, line)]);
    expect(twice.filter(({ status }) => status === 200)).toMatchObject([{ rows: 1 }]);
    expect(await send(chunk, line)).toMatchObject({ status: 409, code: "FULL_SYNC_LOST" });
    const wider = { ...shape, columns: [...(shape?.columns ?? []), { name: "region", type: "text", notNull: false }] };
    expect(await send({ ...chunk, shapes: [wider], after: '["1"]' }, "i2\tsa\tsh\n")).toMatchObject({
      status: 409,
      code: "COLUMN_MISSING",
    });
    const keyless = { ...shape, columns: shape?.columns.filter(({ name }) => name !== "id") };
    expect(await send({ ...chunk, shapes: [keyless], after: '["1"]' }, "sa\n")).toMatchObject({ status: 409, code: "SHAPES_DIFFER" });
    expect(await send({ ...chunk, shapes: [shape, { ...shape, table: "line" }] }, line)).toMatchObject({
      status: 409,
      code: "SHAPES_DIFFER",
    });
  });

  test("is filled by an agent as it asks; cancelled at the hub, the agent gives up and nothing is left", async () => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await sync(edge);
    await rows(edge, 1, 35_000);
    const { runs } = world.database.node.copies;
    const agentOf = (signal: AbortSignal, progress: (there: number) => void = () => {}) => {
      const failed: unknown[] = [];
      const watcher = { status() {}, progress() {}, completed() {}, failed: (error: unknown) => void failed.push(error) };
      const agent = new EdgeAgent({
        edge: edge.edge,
        intervalMs: 200,
        watcher: { ...watcher, fullSync: ({ rows: there }) => progress(there) },
      });
      return { failed, ended: agent.run(signal) };
    };
    const first = await wish(world, edge);
    const stop = new AbortController();
    await agentOf(stop.signal, (there) => there >= 10_000 && stop.abort()).ended;
    expect((await edge.node.copies.runs.list(1))[0]).toMatchObject({ state: "interrupted", direction: "push" });
    const again = new AbortController();
    const seen: number[] = [];
    const { ended, failed } = agentOf(again.signal, (there) => void seen.push(there));
    await until("the full sync is done", async () => (await runs.find(first))?.state === "done");
    again.abort();
    await ended;
    expect(failed).toEqual([]);
    expect(seen.find((there) => there > 0)).toBeGreaterThanOrEqual(10_000);
    expect(await world.database.rows("select count(*), sum(id) from product")).toEqual(
      await edge.rows("select count(*), sum(id) from product"),
    );
    const second = await wish(world, edge);
    const third = new AbortController();
    const cancelled: Promise<void>[] = [];
    const other = agentOf(third.signal, () => void (cancelled.length === 0 && cancelled.push(runs.cancel(second))));
    await until("it is cancelled", async () => other.failed.length > 0);
    third.abort();
    await other.ended;
    expect(other.failed).toMatchObject([{ code: "FULL_SYNC_CANCELLED" }]);
    expect(await edge.edge.interrupted(SIGNAL)).toBeNull();
    expect(await staged(world)).toBe(0);
  });
});

describe("over a bad line", () => {
  test.each(["postgres", "sqlite"] as const)(
    "whatever happens to the bytes, a push to a %s hub comes to an end, with the edge's rows",
    async (engine) => {
      const world = await open(engine);
      const { int, pick } = random(11);
      const kinds = ["lose answer", "truncate", "flip answer", "flip request", "none"] as const;
      const proxy = await faultyProxy(world.hub.url, () => {
        const kind = pick(kinds);
        return kind === "none" ? { kind } : { kind, after: int(12_000) };
      });
      try {
        const edge = await world.edge("shop", { url: proxy.url });
        const direct = world.agent(edge, edge.token);
        await direct.sync(SIGNAL);
        await rows(edge, 1, 2_000);
        const attempt = async (): Promise<boolean> => {
          if ((await world.database.node.copies.runs.list(1))[0]?.state !== "running") await wish(world, edge, { mayRemove: 10_000 });
          try {
            return (await push(edge, { resume: true })).state === "done";
          } catch {
            await edge.write("update product set name = name || '+' where id % 97 = 1");
            return false;
          }
        };
        let attempts = 0;
        while (!(await attempt())) if (++attempts > 200) throw new Error("it never ended");
        expect([...proxy.fates.keys()].some((kind) => kind !== "none")).toBe(true);
        await direct.sync(SIGNAL);
        expect(await world.database.rows(ALL)).toEqual(await edge.rows(ALL));
      } finally {
        await proxy.close();
      }
    },
  );
});

async function reportOf(world: EdgeWorld, edge: TestEdge): Promise<object> {
  const { reportJson } = await import("../../replicator/link/report.ts");
  const state = await edge.node.target.peer(world.database.node.name);
  return reportJson({ state, clockMs: Date.now(), refused: { total: 0, changes: [] }, asked: [], shapes: [] });
}
