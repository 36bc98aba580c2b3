import type pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
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
