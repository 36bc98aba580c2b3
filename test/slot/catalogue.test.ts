import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { wanted } from "../helpers/nodes.ts";
import { durableServer, withClient } from "../helpers/postgres.ts";

vi.setConfig({ testTimeout: 90_000 });

/** The least that the server takes; half of it is where `doctor` speaks. */
const FREEZE_AGE = 100_000;
const TABLES = [{ name: "item" }];

let server: Awaited<ReturnType<typeof durableServer>>;
beforeAll(async () => {
  server = await durableServer({
    wal_level: "logical",
    autovacuum_freeze_max_age: String(FREEZE_AGE),
    autovacuum: "off",
    fsync: "off",
    max_slot_wal_keep_size: "100MB",
  });
});
afterAll(() => server?.remove());

/** Every block that may fail is a transaction with a number of its own. */
const transactions = (count: number): string => `
  create temp table burnt (id integer);
  do $$ begin
    for id in 1..${count} loop
      begin insert into burnt values (id); exception when division_by_zero then null; end;
    end loop;
  end $$;
  drop table burnt`;

test("a slot that stands still is told to hold back vacuum, before anyone looks for why the catalogue swells; one that moves is not", async () => {
  await withClient(server.url, (client) => client.query("create table public.item (id bigint primary key)"));
  const hub = await openPostgresNode({ name: nodeName("hub"), url: server.url, capture: "slot" });
  const found = async () => (await hub.installation.examine()).find(({ code }) => code === "SLOT_HOLDS_VACUUM");
  const age = async () => (await hub.installation.status()).slot?.catalogueAge ?? -1;
  try {
    await hub.installation.apply(wanted(TABLES, "postgres"));
    expect(await age()).toBeLessThan(1000);
    expect(await found()).toBeUndefined();
    expect((await hub.installation.examine()).find(({ code }) => code === "SLOT_UNREAD")).toMatchObject({ severity: "warning" });
    await withClient(server.url, (client) => client.query(transactions(FREEZE_AGE / 2)));
    expect(await age()).toBeGreaterThan(FREEZE_AGE / 2);
    expect(await found()).toMatchObject({ severity: "warning", message: expect.stringContaining("transactions") });
    // the log is read: the slot moves on with the next list of running transactions, which a checkpoint writes
    await vi.waitFor(
      async () => {
        await withClient(server.url, (client) => client.query("checkpoint; insert into item select coalesce(max(id), 0) + 1 from item"));
        await hub.log.tick();
        expect(await age()).toBeLessThan(1000);
      },
      { timeout: 60_000, interval: 200 },
    );
    expect(await found()).toBeUndefined();
  } finally {
    await hub.close();
  }
});

test("a slot that the server is about to give up is told, with how much may still be written", async () => {
  await withClient(server.url, (client) => client.query("create database near"));
  const address = new URL(server.url);
  address.pathname = "/near";
  const url = address.href;
  await withClient(url, (client) => client.query("create table public.item (id bigint primary key)"));
  const hub = await openPostgresNode({ name: nodeName("hub"), url, capture: "slot" });
  const found = async () => (await hub.installation.examine()).find(({ code }) => code === "SLOT_RETAINED");
  try {
    await hub.installation.apply(wanted(TABLES, "postgres"));
    expect(await found()).toBeUndefined();
    // a segment of the server's log is 16 MB, however little of it was written
    const segment = "insert into item select coalesce(max(id), 0) + 1 from item; select pg_switch_wal()";
    for (let segments = 0; segments < 4; segments++) await withClient(url, (client) => client.query(segment));
    expect(await found()).toMatchObject({
      severity: "warning",
      message: expect.stringMatching(/will be lost when \d+ MB more have been written/),
    });
  } finally {
    await hub.close();
  }
});
