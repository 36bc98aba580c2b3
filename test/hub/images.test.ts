import { readdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { IMAGE_LIMITS, type ImageLimits } from "../../replicator/hub/images/image-store.ts";
import { edgeHolder } from "../../replicator/node/full-sync-runs.ts";
import { type EdgeWorld, edgeWorlds, type TestEdge } from "../helpers/edge-world.ts";
import { faultyProxy } from "../helpers/faulty-proxy.ts";
import { ask } from "../helpers/hub.ts";
import { both, type Engine } from "../helpers/pair.ts";
import { addThings } from "../helpers/things.ts";

const SIGNAL = new AbortController().signal;
const SCHEMA = both(
  "create table product (id bigint primary key, name text, region text); create table line (id bigint primary key, product_id bigint references product, note text)",
);
const TABLES = [{ name: "product" }, { name: "line" }];
const FETCH = "/v1/nodes/:node/full-sync/:run/image/:id";
const ROWS = 600;

const open = edgeWorlds({ schema: SCHEMA, tables: TABLES });
const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

const worldOf = async (engine: Engine, limits: Partial<ImageLimits> = {}, more: Parameters<typeof open>[1] = {}): Promise<EdgeWorld> => {
  const world = await open(engine, { hub: { images: { limits: { ...IMAGE_LIMITS, leastRows: 100, ...limits } } }, ...more });
  await addThings(world.database, { from: 1, to: ROWS, regions: true });
  await world.database.write("insert into line values (1, 1, 'a'), (2, 2, 'tab\ttext\\ and '' more')");
  return world;
};
const sync = (edge: TestEdge) => edge.edge.sync(SIGNAL);

/** How often an image was fetched, by status. */
async function fetched(world: EdgeWorld): Promise<{ [status: string]: number }> {
  const text = (await ask(world.hub, "GET", "/v1/metrics", { token: "viewer" })).body as string;
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith("tombolo_hub_request_duration_seconds_count") && line.includes(`"${FETCH}"`));
  return Object.fromEntries(lines.map((line) => [/status="(\d+)"/.exec(line)?.[1] ?? "", Number(line.split(" ").at(-1))]));
}

const expectSame = async (world: EdgeWorld, edges: readonly TestEdge[], where = "true"): Promise<void> => {
  const products = `select id, name, region from product where ${where} order by id`;
  // of lines to products that an edge is not given, it has none
  const all = where === "true" ? [products, "select * from line order by id"] : [products];
  for (const edge of edges) for (const sql of all) expect(await edge.rows(sql)).toEqual(await world.database.rows(sql));
};

describe.each([
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
] as const)("of a %s hub, %s edges that begin with nothing", (above, below) => {
  test("are filled from one image, and go on from there with what came since, whoever wrote it", async () => {
    const world = await worldOf(above);
    const edges: TestEdge[] = [];
    for (const name of ["one", "two", "three", "four"]) {
      const edge = await world.edge(name, { engine: below });
      edges.push(edge);
      await sync(edge);
      if (name === "one") continue;
      // what the next one finds in the log
      await edges[0]?.write(
        `update product set name = 'by one ${name}' where id = ${10 * edges.length}; delete from product where id = ${10 * edges.length + 1}`,
      );
      await sync(edges[0] as TestEdge);
      await world.database.write(
        `update product set name = 'hub' where id = ${10 * edges.length + 2}; insert into product values (${1000 + edges.length}, 'new', 'north')`,
      );
    }
    // the first one was alone, and the second has had it made
    expect(await fetched(world)).toEqual({ 200: 3 });
    for (const edge of edges) await sync(edge);
    await expectSame(world, edges);
    for (const edge of edges) expect(await sync(edge)).toMatchObject({ sent: 0, received: 0, conflicts: 0, parked: 0 });
    await edges[3]?.write("insert into product values (2000, 'mine', 'south')");
    expect(await sync(edges[3] as TestEdge)).toMatchObject({ sent: 1, conflicts: 0 });
    // nothing of it is left at the edges
    for (const edge of edges) {
      if (!("path" in edge)) continue;
      const names = readdirSync(dirname(String(edge.path))).filter((name) => name.startsWith(basename(String(edge.path))));
      expect(names.filter((name) => /image|full-sync/.test(name))).toEqual([]);
    }
  });
});

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  test("gives an edge its own rows only, whatever it knows of another's image", async () => {
    const tables = [{ name: "product", filter: "region = :region" }, { name: "line" }];
    const world = await worldOf(engine, {}, { tables, params: ["region"] });
    const edges: TestEdge[] = [];
    for (const [name, region] of [
      ["a", "north"],
      ["b", "north"],
      ["c", "south"],
      ["d", "north"],
    ] as const) {
      const edge = await world.edge(name, { params: { region } });
      edges.push(edge);
      await sync(edge);
      expect(await edge.rows("select distinct region from product")).toEqual([[region]]);
    }
    expect(await fetched(world)).toEqual({ 200: 2 });
    await expectSame(world, [edges[0], edges[1], edges[3]] as TestEdge[], "region = 'north'");
    const [, , south, north] = edges as [TestEdge, TestEdge, TestEdge, TestEdge];
    const { runs } = world.database.node.copies;
    const begin = async (edge: TestEdge): Promise<bigint> => {
      const start = { peer: edge.node.name, side: "source", direction: "pull", resume: false } as const;
      return (await runs.begin({ ...start, tables: ["product", "line"].map(tableName), holder: edgeHolder(edge.node.name) })).id;
    };
    const [mine, theirs] = [await begin(north), await begin(south)];
    const offer = await ask(world.hub, "POST", `/v1/nodes/d/full-sync/${mine}/image`, { token: north.token });
    const { id, bytes, sha256 } = offer.body.image;
    const get = (node: string, run: bigint, token: string, headers: { [name: string]: string } = {}) =>
      fetch(`${world.hub.url}/v1/nodes/${node}/full-sync/${run}/image/${id}`, {
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
    expect((await get("c", theirs, south.token)).status).toBe(410);
    expect((await get("d", mine, south.token)).status).toBe(403);
    expect((await get("c", mine, south.token)).status).toBe(409);
    const all = Buffer.from(await (await get("d", mine, north.token)).arrayBuffer());
    expect(all.length).toBe(bytes);
    const part = await get("d", mine, north.token, { range: "bytes=100-199", "if-range": `"${sha256}"` });
    expect([part.status, part.headers.get("content-range"), part.headers.get("etag"), part.headers.get("accept-ranges")]).toEqual([
      206,
      `bytes 100-199/${bytes}`,
      `"${sha256}"`,
      "bytes",
    ]);
    expect(Buffer.from(await part.arrayBuffer()).equals(all.subarray(100, 200))).toBe(true);
    const rest = await get("d", mine, north.token, { range: "bytes=500-" });
    expect(Buffer.from(await rest.arrayBuffer()).equals(all.subarray(500))).toBe(true);
    expect((await get("d", mine, north.token, { range: "bytes=500-", "if-range": '"another"' })).status).toBe(200);
    expect((await get("d", mine, north.token, { range: `bytes=${bytes}-` })).status).toBe(416);
  });

  test("makes another where the log no longer reaches back to one, or may not hold all that came since", async () => {
    const world = await worldOf(engine);
    const edges: TestEdge[] = [];
    const begin = async (name: string): Promise<void> => {
      const edge = await world.edge(name);
      edges.push(edge);
      await sync(edge);
      await sync(edge);
    };
    for (const name of ["a", "b", "c"]) await begin(name);
    expect(await fetched(world)).toEqual({ 200: 2 });
    await world.database.write("delete from product where id = 5; update product set name = 'x' where id = 6");
    for (const edge of edges) for (let round = 0; round < 2; round++) await sync(edge);
    await world.database.node.log.retain({ keepMs: -60_000, maxBytes: 10 * 2 ** 30 });
    await world.database.node.log.purge();
    // the log is kept for an image, as long as there is one
    await begin("d");
    await expectSame(world, [edges[3] as TestEdge]);
    const { runs } = world.database.node.copies;
    const held = (await runs.list(50)).filter(({ peer, state }) => peer.startsWith("image ") && state === "running");
    expect(held).toHaveLength(1);
    for (const { id } of held) await runs.cancel(id);
    await world.database.write("delete from product where id = 7");
    await world.database.node.log.retain({ keepMs: -60_000, maxBytes: 10 * 2 ** 30 });
    await world.database.node.log.purge();
    await begin("f");
    await expectSame(world, [edges[4] as TestEdge]);
    // one of the two whose changes were logged because of the other is gone, and comes back
    for (const name of ["a", "b"]) await world.database.node.rejoin.forget(nodeName(name));
    await begin("e");
    await expectSame(world, [edges[5] as TestEdge]);
  });

  test("that cannot keep an image sends chunks", async () => {
    const world = await worldOf(engine, { mostBytes: 1_000 });
    const edges = [await world.edge("a"), await world.edge("b"), await world.edge("c")];
    for (const edge of edges) await sync(edge);
    expect(await fetched(world)).toEqual({});
    await expectSame(world, edges);
    expect((await edges[2]?.node.copies.runs.list(5))?.map(({ state }) => state)).toEqual(["done"]);
  });

  test("keeps no more of them than it may, and serves those who come together by one", async () => {
    const tables = [{ name: "product", filter: "region = :region" }, { name: "line" }];
    const world = await worldOf(engine, { mostImages: 1 }, { tables, params: ["region"] });
    const make = (name: string, region: string) => world.edge(name, { params: { region } });
    const norths = [await make("a", "north"), await make("b", "north"), await make("c", "north"), await make("d", "north")];
    await Promise.all(norths.map(sync));
    const souths = [await make("e", "south"), await make("f", "south"), await make("g", "south")];
    for (const edge of souths) await sync(edge);
    const late = await make("h", "north");
    await sync(late);
    await expectSame(world, [...norths, late], "region = 'north'");
    await expectSame(world, souths, "region = 'south'");
  });
});

describe("over a bad line", () => {
  test("what was cut off goes on from there, and what was damaged is not taken", async () => {
    const world = await worldOf("postgres", {}, {});
    await addThings(world.database, { from: ROWS + 1, to: 20_000, regions: true });
    for (const name of ["a", "b"]) await sync(await world.edge(name));
    let connections = 0;
    const proxy = await faultyProxy(world.hub.url, () => {
      connections += 1;
      return { kind: "truncate", after: 40_000, ...(connections === 3 && { flip: 30_000 }) };
    });
    close.push(() => proxy.close());
    const edge = await world.edge("c", { url: proxy.url });
    let attempts = 0;
    while (
      !(await sync(edge).then(
        () => true,
        () => false,
      ))
    )
      if (++attempts > 100) throw new Error("it never ended");
    await expectSame(world, [edge]);
    expect((await fetched(world))["206"]).toBeGreaterThan(0);
  });
});
