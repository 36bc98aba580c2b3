import type pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tableName } from "../../replicator/change/names.ts";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { purge } from "../../replicator/node/postgres/purge.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const TABLES = [{ name: "event" }];
const PAGE = 8192;

let hub: TestNode & { readonly database: { readonly url: string } };
let store: TestNode;
let pool: pg.Pool;

beforeEach(async () => {
  hub = await postgresNode("hub", "create table public.event (id bigint primary key, note text)", TABLES);
  store = await sqliteNode("store", "create table event (id integer primary key, note text)", TABLES);
  pool = createPool({ url: hub.database.url });
});
afterEach(async () => {
  await pool.end();
  await store.close();
  await hub.close();
});

const logRows = async (): Promise<number> => Number((await hub.rows("select count(*) from tombolo.change"))[0]?.[0]);
/** What the only reader has acknowledged. */
const acknowledged = async (): Promise<bigint> =>
  BigInt((await hub.rows("select sent ->> 'all' from tombolo.peer where name = 'store'"))[0]?.[0] as string);

test("a log that is read stays small: full segments are left, and truncated once everyone has passed them", async () => {
  const link = testLink(hub.node, store.node, TABLES);
  await link.settle();
  let largest = 0;
  for (let round = 0; round < 12; round++) {
    await hub.write(`insert into public.event select i, repeat('x', 50) from generate_series(${round * 300 + 1}, ${round * 300 + 300}) i`);
    await link.settle();
    await purge(pool, await acknowledged(), PAGE);
    largest = Math.max(largest, await logRows());
  }
  expect(largest).toBeLessThan(3 * 300 + 1);
  expect((await store.rows("select count(*) from event"))[0]).toEqual(["3600"]);
});

test("what a reader has not acknowledged stays, however full the segments are", async () => {
  const link = testLink(hub.node, store.node, TABLES);
  await link.settle();
  const before = await acknowledged();
  for (let round = 0; round < 6; round++) {
    await hub.write(`insert into public.event select i, repeat('x', 50) from generate_series(${round * 300 + 1}, ${round * 300 + 300}) i`);
    await hub.node.log.tick();
    await purge(pool, before, PAGE);
  }
  expect(await logRows()).toBe(1800);
  await link.settle();
  expect((await store.rows("select count(*) from event"))[0]).toEqual(["1800"]);
});

test("a writer that holds a transaction open neither waits for the purge nor loses what it wrote", async () => {
  const link = testLink(hub.node, store.node, TABLES);
  await link.settle();
  const writer = await pool.connect();
  await writer.query("begin; insert into public.event values (-1, 'held open')");
  for (let round = 0; round < 6; round++) {
    await hub.write(`insert into public.event select i, repeat('x', 50) from generate_series(${round * 300 + 1}, ${round * 300 + 300}) i`);
    await link.settle();
    await purge(pool, await acknowledged(), PAGE);
  }
  await writer.query("insert into public.event values (-2, 'still open'); commit");
  writer.release();
  await link.settle();
  expect((await store.rows("select count(*) from event"))[0]).toEqual(["1802"]);
});

test.each([3, 300])("who goes back behind a purge, a moment after it read there, is told so: %d changes", async (changes) => {
  const link = testLink(hub.node, store.node, TABLES);
  await link.settle();
  await hub.write("insert into public.event values (0, 'before')");
  const { position: after } = await hub.node.log.tick();
  await hub.write(`insert into public.event select i, 'gone' from generate_series(1, ${changes}) i`);
  await link.settle();
  const readAgain = async (): Promise<number> => {
    const { position: upTo } = await hub.node.log.tick();
    let read = 0;
    const request = { reader: null, tables: [tableName("event")], after, upTo, maxRows: 100, maxBytes: 1 << 20 };
    for await (const group of hub.node.log.read(request)) read += group.length;
    return read;
  };
  expect(await readAgain()).toBe(changes);
  await hub.node.log.purge();
  expect(await logRows()).toBe(0);
  await hub.write("insert into public.event values (-1, 'what is left')");
  await expect(readAgain()).rejects.toMatchObject({ code: "POSITION_UNKNOWN", kind: "operator" });
  // who reads on does not notice
  await link.settle();
  expect((await store.rows("select count(*) from event"))[0]).toEqual([String(changes + 2)]);
});

test("the newest tick stays, whatever a neighbour says that it has read", async () => {
  await testLink(hub.node, store.node, TABLES).settle();
  await hub.rows("update tombolo.tick set sealed_at = clock_timestamp() - interval '1 hour'");
  await purge(pool, 1_000_000n, PAGE);
  expect(await hub.rows("select count(*) from tombolo.tick")).toEqual([["1"]]);
});
