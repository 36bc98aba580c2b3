import type pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { killServer, restartServer } from "../helpers/crash.ts";
import { type Capture, sqliteNode, type TestNode, testLink, wanted } from "../helpers/nodes.ts";
import { durableServer, withClient } from "../helpers/postgres.ts";

const SETTINGS = { max_prepared_transactions: "5", wal_level: "logical" };
const TABLES = [{ name: "item" }];

let server: Awaited<ReturnType<typeof durableServer>>;
beforeAll(async () => {
  server = await durableServer(SETTINGS);
});
afterAll(() => server?.remove());

describe.each(["trigger", "slot"] as const)("capture: %s", (capture: Capture) => {
  let url: string;
  let hub: Node;
  let store: TestNode;

  const open = async (): Promise<void> => {
    hub = await openPostgresNode({ name: nodeName("hub"), url, capture });
  };
  const write = (sql: string): Promise<unknown> => withClient(url, (client: pg.Client) => client.query(sql));
  const arrived = async (): Promise<string[]> => {
    await testLink(hub, store.node, TABLES).settle();
    return (await store.rows("select id from item order by id")).flat() as string[];
  };

  const begin = async (name: string): Promise<void> => {
    await withClient(server.url, (client) => client.query(`create database ${name}`));
    const address = new URL(server.url);
    address.pathname = `/${name}`;
    url = address.href;
    await write("create table public.item (id bigint primary key)");
    await open();
    await hub.installation.apply(wanted(TABLES, "postgres"));
    store = await sqliteNode("store", "create table item (id integer primary key)", TABLES);
  };
  afterEach(async () => {
    await hub?.close();
    await store?.close();
    await write("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active");
  });

  test("a prepared transaction holds back its own changes and nobody else's", async () => {
    await begin(`prepared_${capture}`);
    await write("begin; insert into item values (1); prepare transaction 'first'");
    await write("insert into item values (2)");
    expect(await arrived()).toEqual(["2"]);
    await write("begin; insert into item values (3); prepare transaction 'second'");
    await write("rollback prepared 'second'");
    await write("insert into item values (4)");
    expect(await arrived()).toEqual(["2", "4"]);
    await write("commit prepared 'first'");
    expect(await arrived()).toEqual(["1", "2", "4"]);
  });

  test("a prepared transaction survives a crash of the server", async () => {
    await begin(`crashed_${capture}`);
    await write("begin; insert into item values (1); prepare transaction 'survivor'");
    await write("insert into item values (2)");
    expect(await arrived()).toEqual(["2"]);
    await hub.close();
    await killServer(server.directory);
    await restartServer({ ...server, settings: SETTINGS });
    await open();
    await write("insert into item values (3)");
    expect(await arrived()).toEqual(["2", "3"]);
    await write("commit prepared 'survivor'");
    expect(await arrived()).toEqual(["1", "2", "3"]);
  });
});

test("a slot that waits for a prepared transaction is given up, and the transaction named", { timeout: 90_000 }, async () => {
  await withClient(server.url, (client) => client.query("create database waiting"));
  const address = new URL(server.url);
  address.pathname = "/waiting";
  const url = address.href;
  await withClient(url, (client) => client.query("create table item (id bigint primary key); create table other (id bigint)"));
  // of a table that nobody has to lock
  await withClient(url, (client) => client.query("begin; insert into other values (1); prepare transaction 'forgotten'"));
  const hub = await openPostgresNode({ name: nodeName("hub"), url, capture: "slot" });
  try {
    await expect(hub.installation.apply(wanted(TABLES, "postgres"))).rejects.toMatchObject({
      code: "SLOT_CREATE_BLOCKED",
      hint: expect.stringContaining("'forgotten' of pg_prepared_xacts"),
    });
    await withClient(url, (client) => client.query("commit prepared 'forgotten'"));
    await hub.installation.apply(wanted(TABLES, "postgres"));
  } finally {
    await hub.close();
  }
});
