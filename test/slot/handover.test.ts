import { afterEach, expect, test, vi } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import type { Plan } from "../../replicator/node/installation.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { type Capture, postgresNode, type TestTable, testLink, wanted } from "../helpers/nodes.ts";
import { freshDatabase, withClient } from "../helpers/postgres.ts";

/** The machine may be busy with other things. */
vi.setConfig({ testTimeout: 90_000 });

const PG =
  "create schema shop; create table shop.item (id integer primary key, v integer); create table shop.other (id integer primary key, note text)";
const TABLES: readonly TestTable[] = [{ name: "shop.item" }, { name: "shop.other" }];
const TRIGGERS = "select count(*) from pg_trigger where tgname like 'tombolo_capture_%'";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
const keep = <T extends { close(): Promise<void> }>(closed: T): T => {
  closing.push(() => closed.close());
  return closed;
};

async function apply(url: string, capture: Capture, tables = TABLES): Promise<Plan> {
  const node = await openPostgresNode({ name: nodeName("hub"), url, capture });
  try {
    return await node.installation.apply(wanted(tables, "postgres"));
  } finally {
    await node.close();
  }
}

/** Writers that take turns with nobody, each with rows of its own, until they are told to stop. Answers how many transactions they made. */
function writers(url: string, count: number): { stop(): Promise<number> } {
  let stopped = false;
  const running = Array.from({ length: count }, (_, writer) =>
    withClient(url, async (client) => {
      await client.query("set lock_timeout = '20s'");
      let done = 0;
      for (; !stopped; done++) {
        const id = writer * 1000 + (done % 50);
        await client.query(
          `begin; insert into shop.item values (${id}, 0) on conflict (id) do update set v = shop.item.v + 1;
           insert into shop.other values (${id}, '${done}') on conflict (id) do update set note = excluded.note; commit`,
        );
      }
      return done;
    }),
  );
  return {
    async stop() {
      stopped = true;
      return (await Promise.all(running)).reduce((sum, done) => sum + done, 0);
    },
  };
}

test("capture goes over from triggers to a slot and back, under writes, and no change is lost or told twice", async () => {
  const hub = keep(await postgresNode("hub", PG, TABLES, { capture: "trigger" }));
  const store = keep(await postgresNode("store", PG, TABLES, { capture: "trigger" }));
  const { url } = hub.database;
  await testLink(hub.node, store.node, TABLES).settle();
  const busy = writers(url, 3);
  const rounds: Capture[] = ["slot", "trigger", "slot"];
  for (const capture of rounds) {
    await apply(url, capture);
    expect(await hub.rows(TRIGGERS)).toEqual([[capture === "slot" ? "0" : "8"]]);
    expect(await hub.rows("select count(*) from pg_replication_slots where database = current_database()")).toEqual([
      [capture === "slot" ? "1" : "0"],
    ]);
    expect(
      await hub.rows("select distinct relreplident from pg_class where oid in ('shop.item'::regclass, 'shop.other'::regclass)"),
    ).toEqual([[capture === "slot" ? "f" : "d"]]);
    const node = await openPostgresNode({ name: nodeName("hub"), url, capture });
    await node.log.tick();
    expect(await node.installation.verify()).toEqual([]);
    await node.close();
  }
  expect(await busy.stop()).toBeGreaterThan(50);
  const node = await openPostgresNode({ name: nodeName("hub"), url, capture: "slot" });
  closing.push(() => node.close());
  await testLink(node, store.node, TABLES).settle();
  for (const table of ["shop.item", "shop.other"]) {
    expect(await store.rows(`select * from ${table} order by id`)).toEqual(await hub.rows(`select * from ${table} order by id`));
  }
  // every step of every counter is in the log once: a change that was lost or told twice would break the chain
  const steps = await hub.rows(`
    select count(*), count(*) filter (where "from" <> "before") from (
      select tombolo.hstore_to_json(c.old) ->> 'v' as "from", lag(tombolo.hstore_to_json(c.new) ->> 'v') over (partition by c.key order by c.seq) as "before"
        from tombolo.change c join tombolo.captured_table t on t.id = c.table_id where t.table_name = 'shop.item' and c.op in ('I', 'U')) as step
     where "from" is not null and "before" is not null`);
  expect(Number(steps[0]?.[0])).toBeGreaterThan(50);
  expect(steps[0]?.[1]).toBe("0");
});

test("a plan says what a slot needs and costs; apply does it, finds nothing more to do, and uninstall leaves no trace", async () => {
  const database = await freshDatabase();
  closing.push(() => database.drop());
  const rows = (sql: string) =>
    withClient(database.url, async (client) => (await client.query({ text: sql, rowMode: "array" })).rows as unknown[][]);
  await withClient(database.url, (client) =>
    client.query(
      `${PG}; create unique index other_note on shop.other (id); alter table shop.other replica identity using index other_note`,
    ),
  );
  const node = keep(await openPostgresNode({ name: nodeName("Hub-1"), url: database.url, capture: "slot" }));
  const tables = wanted(TABLES, "postgres");
  const plan = await node.installation.plan(tables);
  const [[oid]] = (await rows("select oid::text from pg_database where datname = current_database()")) as [[string]];
  expect(plan.steps.map(({ object }) => object)).toEqual(
    expect.arrayContaining(["replica identity of shop.item", "publication tombolo", `replication slot tombolo_${oid}_hub_1`]),
  );
  expect(plan.findings.map(({ code, severity }) => `${severity} ${code}`).sort()).toEqual([
    "warning SLOT_KEEPS_WAL",
    "warning SLOT_REPLICA_IDENTITY",
  ]);
  await node.installation.apply(tables);
  expect((await node.installation.plan(tables)).steps).toEqual([]);
  await node.log.tick();
  expect((await node.installation.examine()).find(({ code }) => code === "SLOT")).toMatchObject({ severity: "ok" });
  expect((await node.installation.status()).slot).toMatchObject({ name: `tombolo_${oid}_hub_1`, state: "live", active: true });
  await node.close();
  closing.pop();
  const again = keep(await openPostgresNode({ name: nodeName("Hub-1"), url: database.url, capture: "slot" }));
  await again.installation.uninstall();
  expect(await rows("select count(*)::int from pg_publication")).toEqual([[0]]);
  expect(await rows("select count(*)::int from pg_replication_slots where database = current_database()")).toEqual([[0]]);
  expect(await rows("select relname, relreplident from pg_class where relname in ('item', 'other') order by 1")).toEqual([
    ["item", "d"],
    ["other", "i"],
  ]);
});

test("each missing precondition has a finding of its own", async () => {
  const database = await freshDatabase({ bareRole: true });
  closing.push(() => database.drop());
  await withClient(database.superUrl, (client) =>
    client.query(`create schema shop; grant usage on schema shop to ${database.role};
      create table shop.item (id integer primary key, v integer); grant all on shop.item to ${database.role};
      create table shop.parts (id integer primary key) partition by range (id); alter table shop.parts owner to ${database.role}`),
  );
  const node = keep(await openPostgresNode({ name: nodeName("hub"), url: database.url, capture: "slot" }));
  const tables = wanted([{ name: "shop.item" }, { name: "shop.parts" }], "postgres");
  const plan = await node.installation.plan(tables);
  const errors = plan.findings.filter(({ severity }) => severity === "error");
  expect(errors.map(({ code, table }) => `${table ?? ""} ${code}`).sort()).toEqual([
    " SLOT_ROLE",
    "shop.item SLOT_NOT_OWNER",
    "shop.parts SLOT_PARTITIONED",
  ]);
  for (const { hint } of errors) expect(hint).toBeTruthy();
  await expect(node.installation.apply(tables)).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS" });
  await expect(node.log.tick()).rejects.toMatchObject({ kind: "operator" });
});

test("a table of a publication that is taken out of it, or loses its replica identity, is found and must be compared", async () => {
  const hub = keep(await postgresNode("hub", PG, TABLES, { capture: "slot" }));
  expect(await hub.node.installation.verify()).toEqual([]);
  await hub.write("alter publication tombolo drop table shop.item; alter table shop.other replica identity default");
  const drifts = await hub.node.installation.verify();
  expect(drifts.map(({ table, code }) => `${table} ${code}`)).toEqual(["shop.item SLOT_UNPUBLISHED", "shop.other REPLICA_IDENTITY"]);
  await hub.node.installation.apply(wanted(TABLES, "postgres"));
  expect(await hub.node.installation.verify()).toEqual([]);
  expect((await hub.node.installation.status()).tables.map(({ state }) => state)).toEqual(["must_compare", "must_compare"]);
});

test("a topology that says otherwise than the database is told so", async () => {
  const hub = keep(await postgresNode("hub", PG, TABLES, { capture: "slot" }));
  const other = keep(await openPostgresNode({ name: nodeName("hub"), url: hub.database.url, capture: "trigger" }));
  await expect(other.log.tick()).rejects.toMatchObject({ code: "CAPTURE_MODE", kind: "operator" });
});

test("a table with a virtual generated column cannot be published: its updates would fail", async (context) => {
  const database = await freshDatabase();
  closing.push(() => database.drop());
  const version = await withClient(
    database.url,
    async (client) => (await client.query("show server_version_num")).rows[0].server_version_num,
  );
  if (Number(version) < 180000) return context.skip();
  await withClient(database.url, (client) =>
    client.query("create table public.item (id integer primary key, twice integer generated always as (id * 2) virtual)"),
  );
  const node = keep(await openPostgresNode({ name: nodeName("hub"), url: database.url, capture: "slot" }));
  const { findings } = await node.installation.plan(wanted([{ name: "item" }], "postgres"));
  expect(findings.find(({ code }) => code === "SLOT_VIRTUAL_COLUMN")).toMatchObject({
    severity: "error",
    table: "item",
    hint: expect.stringContaining("capture: trigger"),
  });
  await expect(node.installation.apply(wanted([{ name: "item" }], "postgres"))).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS" });
  // what the application would meet otherwise
  await withClient(database.url, async (client) => {
    await client.query("insert into item values (1); create publication p for table item; alter table item replica identity full");
    await expect(client.query("update item set id = 2")).rejects.toThrow(/cannot update table/);
  });
});
