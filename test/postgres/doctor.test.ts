import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { nodeName, type Position, position, tableName } from "../../replicator/change/names.ts";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { examine } from "../../replicator/node/postgres/examine.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { postgresNode, wanted } from "../helpers/nodes.ts";
import { durableServer, freshDatabase, withClient } from "../helpers/postgres.ts";

vi.setConfig({ testTimeout: 60_000 });

const ITEM = "create table public.item (id integer primary key)";
const TABLES = [{ name: "item" }];

test("a sequence that hands out numbers out of order is an error, with its remedy", async () => {
  const hub = await postgresNode("hub", ITEM, TABLES, { capture: "trigger" });
  try {
    const found = async () => (await hub.node.installation.examine()).find(({ code }) => code === "SEQUENCE_CACHE");
    expect(await found()).toBeUndefined();
    await hub.rows("alter sequence tombolo.change_seq cache 32");
    const finding = await found();
    expect(finding).toMatchObject({ severity: "error", hint: "Run alter sequence tombolo.change_seq cache 1." });
    await hub.rows("alter sequence tombolo.change_seq cache 1");
    expect(await found()).toBeUndefined();
  } finally {
    await hub.close();
  }
});

let poor: Awaited<ReturnType<typeof durableServer>>;
let sound: Awaited<ReturnType<typeof durableServer>>;
beforeAll(async () => {
  const lacking = { fsync: "off", wal_level: "replica", max_replication_slots: "0", max_wal_senders: "0", max_connections: "12" };
  [poor, sound] = await Promise.all([durableServer(lacking), durableServer({ max_prepared_transactions: "2" })]);
});
afterAll(() => Promise.all([poor?.remove(), sound?.remove()]));

test("a server that lacks what a replicator needs has a finding, with a remedy, for each", async () => {
  await withClient(poor.url, (client) => client.query(ITEM));
  const node = await openPostgresNode({ name: nodeName("hub"), url: poor.url, capture: "slot" });
  try {
    const found = [...(await node.installation.examine()), ...(await node.installation.plan(wanted(TABLES, "postgres"))).findings];
    const bad = found.filter(({ severity }) => severity !== "ok");
    expect(new Set(bad.map(({ code, severity }) => `${severity} ${code}`))).toEqual(
      new Set([
        "warning SERVER_NOT_DURABLE",
        "warning CONNECTIONS",
        "warning NOT_INSTALLED",
        "error SLOT_WAL_LEVEL",
        "error SLOT_NONE_FREE",
        "error SLOT_NO_SENDER",
        "warning SLOT_KEEPS_WAL",
        "warning SLOT_REPLICA_IDENTITY",
      ]),
    );
    for (const { code, hint } of bad) expect(hint, code).toBeTruthy();
  } finally {
    await node.close();
  }
});

test("transactions that are open or prepared for long are told, and no longer once they have ended", async () => {
  await withClient(sound.url, (client) => client.query(ITEM));
  const pool = createPool({ url: sound.url });
  const codes = async (oldSeconds: number): Promise<string[]> => (await examine(pool, oldSeconds)).map(({ code }) => code);
  const application = new pg.Client({ connectionString: sound.url });
  await application.connect();
  try {
    await application.query("begin; insert into item values (1); prepare transaction 'forgotten'");
    await application.query("begin; insert into item values (2)");
    await vi.waitFor(async () => expect(await codes(0)).toEqual(expect.arrayContaining(["LONG_TRANSACTION", "PREPARED_TRANSACTION"])));
    // ten minutes where it is not said
    const now = (await examine(pool)).map(({ code }) => code);
    expect(now).toEqual(expect.arrayContaining(["DURABILITY", "TWO_PHASE_COMMIT"]));
    expect(now).not.toContain("LONG_TRANSACTION");
    await application.query("rollback");
    await application.query("rollback prepared 'forgotten'");
    expect(await codes(0)).not.toContain("PREPARED_TRANSACTION");
    expect(await codes(60)).not.toContain("LONG_TRANSACTION");
  } finally {
    await application.end();
    await pool.end();
  }
});

test("a role that may not create, or not reach hstore, is told what to be granted", async () => {
  const database = await freshDatabase({ bareRole: true });
  const name = new URL(database.url).pathname.slice(1);
  await withClient(database.superUrl, async (client) => {
    await client.query(`${ITEM}; alter table item owner to ${database.role}; create schema ext; create extension hstore schema ext`);
    await client.query(`revoke create on database ${name} from ${database.role}`);
  });
  const node = await openPostgresNode({ name: nodeName("hub"), url: database.url, capture: "slot" });
  try {
    const { findings } = await node.installation.plan(wanted(TABLES, "postgres"));
    const errors = new Map(findings.filter(({ severity }) => severity === "error").map(({ code, hint }) => [code, hint]));
    expect(errors.get("DATABASE_CREATE")).toBe(`Run grant create on database "${name}" to "${database.role}".`);
    expect(errors.get("HSTORE_UNREACHABLE")).toBe(`Run grant usage on schema "ext" to "${database.role}".`);
    expect(errors.get("SLOT_PUBLICATION")).toBe(`Run grant create on database "${name}" to "${database.role}".`);
  } finally {
    await node.close();
    await database.drop();
  }
});

test.each(["trigger", "slot"] as const)(
  "a node whose ticks someone has deleted says so once, and begins anew with one: %s",
  async (capture) => {
    const hub = await postgresNode("hub", ITEM, TABLES, { capture });
    try {
      const tables = TABLES.map(({ name }) => tableName(name));
      await hub.write(`insert into ${TABLES[0]?.name} (id) values (1)`);
      const { position: before } = await hub.node.log.tick();
      await hub.rows("delete from tombolo.tick");
      await hub.write(`insert into ${TABLES[0]?.name} (id) values (2)`);
      await expect(hub.node.log.tick()).rejects.toMatchObject({ code: "TICK_MISSING", kind: "retry" });
      const { position: upTo } = await hub.node.log.tick();
      const read = async (after: Position): Promise<number> => {
        let changes = 0;
        for await (const group of hub.node.log.read({ reader: null, tables, after, upTo, maxRows: 10, maxBytes: 1 << 20 }))
          changes += group.length;
        return changes;
      };
      // what nobody is known to have read is news after the first one
      const [[first] = []] = await hub.rows("select min(position) from tombolo.tick");
      expect(await read(position(first ?? 0))).toBe(2);
      await expect(read(before)).rejects.toMatchObject({ code: "POSITION_UNKNOWN" });
    } finally {
      await hub.close();
    }
  },
);

test("a node whose own row someone has deleted says so", async () => {
  const hub = await postgresNode("hub", ITEM, TABLES, { capture: "trigger" });
  try {
    await hub.rows("delete from tombolo.node");
    await expect(hub.node.installation.verify()).rejects.toMatchObject({ code: "NODE_MISSING", kind: "operator" });
  } finally {
    await hub.close();
  }
});
