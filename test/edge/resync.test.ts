import Database from "better-sqlite3";
import pg from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";
import { nodeName, packetNumber, tableName } from "../../replicator/change/names.ts";
import { EdgeAgent } from "../../replicator/edge/agent.ts";
import type { Edge } from "../../replicator/edge/edge.ts";
import { jsonSection } from "../../replicator/link/exchange.ts";
import { NOTHING_REFUSED, reportJson } from "../../replicator/link/report.ts";
import type { SyncDirection } from "../../replicator/node/full-sync-runs.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import { askFullSync } from "../../replicator/operations/ask-full-sync.ts";
import { until } from "../helpers/command.ts";
import { type EdgeWorld, edgeWorlds, type TestEdge } from "../helpers/edge-world.ts";
import { ask, openHub } from "../helpers/hub.ts";
import type { TestNode } from "../helpers/nodes.ts";
import { both, type Engine, historyTable, PAIRS } from "../helpers/pair.ts";
import { type FreshDatabase, withClient } from "../helpers/postgres.ts";
import { copyOf as copyOfFile } from "../helpers/put-in-place.ts";

const SIGNAL = new AbortController().signal;
const SCHEMA = both("create table item (id bigint primary key, note text); create table sum (id bigint primary key, n bigint)");
const TABLES = [
  { name: "item", policy: "child_wins" as const },
  { name: "sum", policy: "merge" as const, mergeColumns: { n: "counter" as const } },
];
const ALL = "select id, note from item order by id";
const SUM = "select n from sum";

const open = edgeWorlds({ schema: SCHEMA, tables: TABLES });
const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

/** A database, whoever has its node open. */
interface Place {
  readonly node: Node;
  write(sql: string): Promise<unknown>;
  rows(sql: string): Promise<(string | null)[][]>;
}

const sync = ({ edge }: { readonly edge: Edge }) => edge.sync(SIGNAL);
const insert = (id: number, note: string): string => `insert into item values (${id}, '${note}')`;

/** Asks at the hub for the two to begin anew. */
const wish = (world: EdgeWorld, direction: SyncDirection = "pull"): Promise<bigint> =>
  askFullSync(world.database.node, {
    ...{ topology: world.topology, edge: "shop", tables: null, who: "a person", direction },
    group: world.topology.groups[0] as (typeof world.topology.groups)[number],
    terms: { anew: true, mayRemove: 1_000 },
  });

async function postgresCopy(original: TestNode & { readonly database: FreshDatabase }): Promise<() => Promise<Place>> {
  const { url, superUrl } = original.database;
  const name = new URL(url).pathname.slice(1);
  const copy = Object.assign(new URL(url), { pathname: `/${name}_copy` }).href;
  const admin = (sql: string) => withClient(superUrl.replace(`/${name}`, "/postgres"), async (client) => void (await client.query(sql)));
  await original.node.close();
  await admin(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
  await admin(`create database "${name}_copy" template "${name}"`);
  close.push(() => admin(`drop database "${name}_copy" with (force)`));
  await original.reopen();
  return async () => {
    const node = await openPostgresNode({ name: original.node.name, url: copy });
    close.push(() => node.close());
    return { node, ...postgresApplication(copy) };
  };
}

const postgresApplication = (url: string): Pick<Place, "write" | "rows"> => ({
  write: (sql) => withClient(url, async (client) => void (await client.query(sql))),
  async rows(sql) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const types = { getTypeParser: () => (value: unknown) => value } as never;
    const { rows } = await client.query({ text: sql, rowMode: "array", types });
    await client.end();
    return rows as (string | null)[][];
  },
});

async function sqliteCopy(original: TestNode & { readonly path: string }): Promise<() => Promise<Place>> {
  const copy = await copyOfFile(original.path, `${original.path}.copy`);
  return async () => {
    const node = await openSqliteNode({ name: original.node.name, path: copy });
    const application = new Database(copy, { timeout: 5_000 });
    application.defaultSafeIntegers();
    close.push(async () => {
      application.close();
      await node.close();
    });
    return {
      node,
      write: async (sql) => application.exec(sql),
      rows: async (sql) =>
        (application.prepare(sql).raw().all() as unknown[][]).map((row) => row.map((value) => (value === null ? null : String(value)))),
    };
  };
}

/** A copy of the database as it is now, to be put in its place later. */
const copyOf = (original: TestNode): Promise<() => Promise<Place>> =>
  original.node.engine === "postgres"
    ? postgresCopy(original as TestNode & { readonly database: FreshDatabase })
    : sqliteCopy(original as TestNode & { readonly path: string });

/** Of the application of a database from which all others may have been thrown out. */
const applicationOf = (original: TestNode): Pick<Place, "write" | "rows"> =>
  original.node.engine === "postgres"
    ? postgresApplication((original as TestNode & { readonly database: FreshDatabase }).database.url)
    : original;

/** The edge has sent things of which its restored database knows nothing, and is written to since. */
async function restored(above: Engine, below: Engine): Promise<{ world: EdgeWorld; token: string; place: Place; edge: Edge }> {
  const world = await open(above);
  const original = await world.edge("shop", { engine: below });
  await world.database.write(`${insert(1, "hub")}; insert into sum values (1, 0)`);
  await sync(original);
  await original.write(`${insert(10, "early")}; update sum set n = n + 1`);
  // twice: it has heard that all of it arrived
  for (let round = 0; round < 2; round++) await sync(original);
  const copy = await copyOf(original);
  const application = applicationOf(original);
  const first = world.agent(original, original.token);
  for (let id = 11; id < 16; id++) await application.write(`${insert(id, "sent")}; update sum set n = n + 1`);
  await first.sync(SIGNAL);
  await world.database.write(`${insert(2, "later")}; update sum set n = n + 100`);
  await first.sync(SIGNAL);
  const place = await copy();
  for (let id = 20; id < 28; id++) await place.write(`${insert(id, "after")}; update sum set n = n + 1`);
  await place.write("update item set note = 'mine' where id = 1");
  return { world, token: original.token, place, edge: world.agent(place as TestNode, original.token) };
}

const expectEqual = async (world: EdgeWorld, place: Pick<Place, "rows">): Promise<void> => {
  for (const sql of [ALL, SUM]) expect(await place.rows(sql)).toEqual(await world.database.rows(sql));
};

describe.each(PAIRS)("over HTTP, a %s hub and a %s edge", (above, below) => {
  test("an edge that was restored from an older copy is found out, and comes back when its hub wants the two to begin anew", async () => {
    const { world, place, edge } = await restored(above, below);
    await expect(edge.sync(SIGNAL)).rejects.toMatchObject({ kind: "operator" });
    const run = await wish(world);
    await edge.sync(SIGNAL);
    await expectEqual(world, place);
    const notes = (await world.database.rows("select note from item order by id")).map(([note]) => note);
    // what it had sent before came back, what it wrote since is there, and all of it counted once
    expect(notes).toEqual(["mine", "later", "early", ...Array(5).fill("sent"), ...Array(8).fill("after")]);
    expect(await world.database.rows(SUM)).toEqual([[String(1 + 5 + 100 + 8)]]);
    expect(await world.database.node.copies.runs.find(run)).toMatchObject({ state: "done" });
    // neighbours like any others
    await world.database.write(insert(3, "news"));
    await place.write(insert(30, "news"));
    expect(await edge.sync(SIGNAL)).toMatchObject({ sent: 1, received: 1, conflicts: 0 });
    await expectEqual(world, place);
    expect((await world.database.node.installation.status()).peers).toMatchObject([{ name: "shop", state: "live" }]);
    expect((await place.node.installation.status()).peers).toMatchObject([{ state: "live" }]);
  });
});

describe.each([
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
] as const)("over HTTP, a %s hub and a %s edge", (above, below) => {
  test("an agent does so by itself, and exchanges afterwards", async () => {
    const { world, place, edge } = await restored(above, below);
    const run = await wish(world);
    const stop = new AbortController();
    const failed: unknown[] = [];
    const watcher = { status() {}, progress() {}, completed() {}, failed: (error: unknown) => void failed.push(error) };
    const ended = new EdgeAgent({ edge, intervalMs: 60_000, watcher }).run(stop.signal);
    await until("it is done", async () => (await world.database.node.copies.runs.find(run))?.state === "done");
    await world.database.write(insert(3, "news"));
    await until("the edge hears of it", async () => (await place.rows("select 1 from item where id = 3")).length === 1);
    await until("both have counted the same", async () => (await place.rows(SUM)).join() === "114");
    stop.abort();
    await ended;
    expect(failed).toEqual([]);
    await expectEqual(world, place);
    expect(await world.database.rows(SUM)).toEqual([["114"]]);
  });

  test("the hub takes over what the edge has, where it is the edge that holds the truth", async () => {
    const { world, place, edge } = await restored(above, below);
    await wish(world, "push");
    await edge.sync(SIGNAL);
    await expectEqual(world, place);
    expect((await place.rows("select note from item where id > 9")).map(([note]) => note)).toEqual(["early", ...Array(8).fill("after")]);
    expect((await world.database.rows(`select resolved_by from ${historyTable(world.database)}`)).length).toBeGreaterThan(0);
    await world.database.write(insert(3, "news"));
    expect(await edge.sync(SIGNAL)).toMatchObject({ received: 1, conflicts: 0 });
  });

  test("where the hub was restored, its edges come back one by one, with what it has not lost", async () => {
    const world = await open(above);
    const original = await world.edge("shop", { engine: below });
    await world.database.write(`${insert(1, "hub")}; insert into sum values (1, 0)`);
    for (let round = 0; round < 2; round++) await sync(original);
    const copy = await copyOf(world.database);
    const before = await openHub({ topology: world.topology, nodes: [world.database.node] });
    close.push(() => before.close());
    await original.write(`${insert(10, "sent")}; update sum set n = n + 1`);
    await world.agent(original, original.token, before.url).sync(SIGNAL);
    await original.write(insert(11, "not sent"));
    const hub = await copy();
    const served = await openHub({ topology: world.topology, nodes: [hub.node] });
    close.push(() => served.close());
    const edge = world.agent(original, original.token, served.url);
    await expect(edge.sync(SIGNAL)).rejects.toBeDefined();
    const group = world.topology.groups[0] as (typeof world.topology.groups)[number];
    const asked = { topology: world.topology, group, edge: "shop", tables: null, who: "a person", terms: { anew: true } } as const;
    await askFullSync(hub.node, asked);
    await edge.sync(SIGNAL);
    expect(await original.rows(ALL)).toEqual(await hub.rows(ALL));
    expect((await hub.rows(ALL)).map(([, note]) => note)).toContain("not sent");
    expect(await original.rows(SUM)).toEqual(await hub.rows(SUM));
  });

  test("what breaks off between the two is done again, and nothing counts twice", async () => {
    const { world, place, edge, token } = await restored(above, below);
    const run = await wish(world);
    // the edge has begun anew, and the hub has not
    const marks = await place.node.rejoin.marks(world.database.node.name);
    const pairs = (map: ReadonlyMap<string, bigint>): [string, string][] => [...map].map(([channel, at]) => [channel, String(at)]);
    const body = { marks: marks && { received: pairs(marks.received), sent: pairs(marks.sent) } };
    const told = await ask(world.hub, "POST", `/v1/nodes/shop/resync/${run}`, { token, body });
    expect(told.status).toBe(200);
    const places = (given: readonly [string, string][]) => new Map(given.map(([channel, at]) => [channel, BigInt(at)])) as never;
    const at = { received: places(told.body.received), sent: places(told.body.sent) };
    await place.node.rejoin.renew();
    await place.node.rejoin.restart(world.database.node.name, at);
    await place.write(`${insert(40, "between")}; update sum set n = n + 1`);
    await edge.sync(SIGNAL);
    await expectEqual(world, place);
    expect(await world.database.rows(SUM)).toEqual([["115"]]);
    // taken up: nobody may do it again
    const again = await ask(world.hub, "POST", `/v1/nodes/shop/resync/${run}`, { token, body });
    expect([again.status, again.body.code]).toEqual([409, "RESYNC_GONE"]);
  });

  test("between the two, nothing flows where the wish was withdrawn; another one brings them together", async () => {
    const { world, place, edge } = await restored(above, below);
    await place.node.rejoin.renew();
    await place.node.rejoin.restart(world.database.node.name, { received: new Map(), sent: new Map() });
    const before = await world.database.rows(ALL);
    await edge.sync(SIGNAL).catch(() => undefined);
    expect(await world.database.rows(ALL)).toEqual(before);
    await wish(world);
    await edge.sync(SIGNAL);
    await expectEqual(world, place);
  });
});

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  const together = async (): Promise<{ world: EdgeWorld; edge: TestEdge }> => {
    const world = await open(engine);
    const edge = await world.edge("shop");
    await world.database.write(`${insert(1, "hub")}; insert into sum values (1, 0)`);
    for (let round = 0; round < 2; round++) await sync(edge);
    return { world, edge };
  };

  test("does not begin anew where a packet has come since the edge asked from where", async () => {
    const { world, edge } = await together();
    const { rejoin } = world.database.node;
    const marks = await rejoin.marks(edge.node.name);
    await edge.write(insert(10, "between"));
    await sync(edge);
    const at = { received: new Map(), sent: new Map(), receivedPacket: marks?.receivedPacket ?? packetNumber(0) };
    await expect(rejoin.restart(edge.node.name, at)).rejects.toMatchObject({ code: "PACKET_GAP", kind: "retry" });
    expect(await rejoin.marks(edge.node.name)).not.toMatchObject({ receivedPacket: 0n });
  });

  test("tells whoever asked where an edge's version knows nothing of it", async () => {
    const { world, edge } = await together();
    const { runs } = world.database.node.copies;
    const first = await wish(world);
    expect((await ask(world.hub, "GET", "/v1/nodes/shop/status", { token: edge.token })).body.resync).toBeNull();
    expect(await runs.find(first)).toMatchObject({ state: "failed", error: expect.stringContaining("EDGE_TOO_OLD") });
    const second = await wish(world);
    const state = await edge.node.target.peer(world.database.node.name);
    const head = {
      report: reportJson({ state, clockMs: Date.now(), refused: NOTHING_REFUSED, asked: [], shapes: [] }),
      features: ["full_sync", "reconcile"],
    };
    const headers = { authorization: `Bearer ${edge.token}`, "content-type": "application/vnd.tombolo.exchange" };
    const body = jsonSection(head);
    const answer = await fetch(`${world.hub.url}/v1/nodes/shop/exchange`, { method: "POST", headers, body: new Uint8Array(body) });
    expect(Buffer.from(await answer.arrayBuffer()).toString("latin1")).not.toContain("resync");
    expect(await runs.find(second)).toMatchObject({ state: "failed" });
  });

  test("lets only the edge that is meant begin anew, and only as it was asked", async () => {
    const { world, edge } = await together();
    const other = await world.edge("other");
    await sync(other);
    const run = await wish(world);
    const plain = { peer: edge.node.name, side: "source", direction: "pull", tables: [tableName("item")] } as const;
    const body = { marks: null };
    const post = (node: string, id: bigint | string, token: string) =>
      ask(world.hub, "POST", `/v1/nodes/${node}/resync/${id}`, { token, body });
    expect((await post("shop", run, other.token)).body.code).toBe("NODE_FORBIDDEN");
    expect((await post("other", run, other.token)).body.code).toBe("RESYNC_GONE");
    const begun = { epoch: "01890a5d-ac96-774b-bcce-b302099a8057", received: [], sent: [], received_packet: "0" };
    const path = `/v1/nodes/other/resync/${run}/begun`;
    expect((await ask(world.hub, "POST", path, { token: other.token, body: begun })).body.code).toBe("RESYNC_GONE");
    const usual = await world.database.node.copies.runs.request(plain, "a person");
    expect((await post("shop", usual, edge.token)).body.code).toBe("RESYNC_GONE");
    expect((await world.database.node.installation.status()).peers.map(({ state }) => state)).toEqual(["live", "live"]);
  });

  test("and an edge that is paused exchange nothing, and go on by themselves", async () => {
    const { world, edge } = await together();
    const { installation } = world.database.node;
    await installation.setPaused(nodeName("shop"), true);
    await edge.write(insert(10, "mine"));
    await world.database.write(insert(2, "hub"));
    expect(await sync(edge)).toMatchObject({ sent: 0, received: 0 });
    const stop = new AbortController();
    const watcher = { status() {}, progress() {}, completed() {}, failed() {} };
    const exchange = vi.spyOn(edge.edge, "exchange");
    const ended = new EdgeAgent({ edge: edge.edge, intervalMs: 60_000, watcher }).run(stop.signal);
    // a round, and the one that waits
    await until("it waits", () => exchange.mock.calls.length >= 2);
    await edge.write(insert(11, "mine"));
    expect(await world.database.rows("select 1 from item where id > 9")).toEqual([]);
    await installation.setPaused(nodeName("shop"), false);
    await until("all has travelled", async () => (await world.database.rows("select 1 from item where id > 9")).length === 2);
    await until("the edge has the hub's", async () => (await edge.rows("select 1 from item where id = 2")).length === 1);
    // what waits at the edge does not make it ask again and again
    expect(exchange.mock.calls.length).toBeLessThan(12);
    stop.abort();
    await ended;
  });
});
