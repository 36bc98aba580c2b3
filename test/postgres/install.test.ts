import { expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import type { Plan } from "../../replicator/node/installation.ts";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { createPostgresInstallation } from "../../replicator/node/postgres/install.ts";
import { capturedDatabase, wantedTable } from "../helpers/captured.ts";
import { freshDatabase, serverUrl, withClient } from "../helpers/postgres.ts";

/** How many objects of each kind the database has, apart from the catalog itself. */
const COUNTS = `
  select (select count(*) from pg_class where oid >= 16384) as relations, (select count(*) from pg_proc where oid >= 16384) as functions,
         (select count(*) from pg_type where oid >= 16384) as types, (select count(*) from pg_trigger) as triggers, (select count(*) from pg_namespace where oid >= 16384) as schemas,
         (select count(*) from pg_extension) as extensions, (select count(*) from pg_default_acl) as defaults, (select count(*) from pg_constraint where oid >= 16384) as constraints`;

const codes = (plan: Plan, severity = "error") =>
  plan.findings.filter((finding) => finding.severity === severity).map(({ code, table }) => `${table ?? ""} ${code}`.trim());

async function bare(ddl: string) {
  const database = await freshDatabase({ bareRole: true });
  const pool = createPool({ url: database.url });
  await pool.query(ddl);
  const installation = createPostgresInstallation({ pool });
  const one = async (text: string) => (await pool.query(text)).rows[0];
  return { ...database, pool, installation, one, drop: () => pool.end().then(database.drop) };
}

test("a plan changes nothing; a DBA may run its SQL by hand; apply then finds nothing to do", async () => {
  const db = await bare(
    "create schema shop; create table shop.item (id integer primary key); create table shop.part (id integer, day date, primary key (id, day)) partition by range (day); create table shop.part_1 partition of shop.part default",
  );
  const before = await db.one(COUNTS);
  const wanted = [wantedTable("shop.item"), wantedTable("shop.part", "row")];
  const plan = await db.installation.plan(wanted);
  expect(await db.one(COUNTS)).toEqual(before);
  expect(codes(plan)).toEqual([]);
  expect(plan.steps.map(({ object }) => object)).toEqual(
    expect.arrayContaining([
      "schema tombolo",
      "extension hstore in schema tombolo",
      "trigger tombolo_capture_insert on shop.item",
      "trigger tombolo_capture_truncate on shop.part_1",
    ]),
  );
  // with psql's session settings, not ours
  await withClient(db.url, async (client) => {
    for (const { sql } of plan.steps) await client.query(sql);
  });
  expect((await db.installation.plan(wanted)).steps).toEqual([]);
  expect((await db.installation.apply(wanted)).steps).toEqual([]);
  expect(await db.installation.verify()).toEqual([]);
  expect((await db.installation.status()).tables.map(({ table, state }) => `${table} ${state}`)).toEqual([
    "shop.item live",
    "shop.part live",
  ]);
  await db.drop();
});

test("several starters at once install once", async () => {
  const db = await bare("create schema shop; create table shop.item (id integer primary key)");
  const others = await Promise.all([1, 2, 3, 4].map(() => db.installation.apply([wantedTable("shop.item")])));
  expect(others.filter(({ steps }) => steps.length > 0)).toHaveLength(1);
  expect(await db.one("select count(*) as n from pg_trigger where tgname like 'tombolo%'")).toEqual({ n: "4" });
  await db.drop();
});

test("uninstall leaves no trace, also when half of it is gone, and may be repeated", async () => {
  const db = await bare(
    "create schema shop; create table shop.item (id integer primary key); create table shop.part (id integer primary key) partition by list (id); create table shop.part_1 partition of shop.part default",
  );
  const before = await db.one(COUNTS);
  const wanted = [wantedTable("shop.item"), wantedTable("shop.part")];
  await db.installation.apply(wanted);
  await db.pool.query("insert into shop.item values (1)");
  expect(await db.one(COUNTS)).not.toEqual(before);
  expect((await db.installation.planUninstall()).steps.every(({ action }) => action === "drop")).toBe(true);
  await db.installation.uninstall();
  expect(await db.one(COUNTS)).toEqual(before);
  expect(await db.one("select nspacl from pg_namespace where nspname = 'tombolo'")).toBeUndefined();

  await db.installation.apply(wanted);
  await db.pool.query(
    "drop trigger tombolo_capture_insert on shop.item; drop table tombolo.peer cascade; drop table tombolo.node, tombolo.migration; drop function tombolo.capture_delete() cascade",
  );
  await db.installation.uninstall();
  expect(await db.one(COUNTS)).toEqual(before);
  await db.installation.uninstall();
  expect((await db.installation.planUninstall()).steps).toEqual([]);
  await db.drop();
});

test("uninstall keeps hstore where an application uses it, and refuses to take an application's trigger with it", async () => {
  const db = await bare("create schema shop; create table shop.item (id integer primary key)");
  await db.installation.apply([wantedTable("shop.item")]);
  await db.pool.query("create function shop.f() returns trigger language plpgsql as 'begin return null; end'");
  await db.pool.query("create trigger app after insert on shop.item for each row when (not tombolo.applying()) execute function shop.f()");
  await db.pool.query("create table shop.tags (id integer primary key, tags tombolo.hstore)");
  expect(codes(await db.installation.planUninstall())).toEqual(["UNINSTALL_BLOCKED"]);
  await expect(db.installation.uninstall()).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS" });
  await db.pool.query("drop trigger app on shop.item");
  const plan = await db.installation.planUninstall();
  expect(codes(plan, "warning")).toEqual(["HSTORE_IN_USE"]);
  await db.installation.uninstall();
  expect(await db.one("select count(*) as n from pg_class where relnamespace = 'tombolo'::regnamespace")).toEqual({ n: "0" });
  await db.pool.query("insert into shop.tags values (1, 'a=>1')");
  await db.drop();
});

test("hstore in another schema is used from there and stays", async () => {
  const database = await freshDatabase({ bareRole: true });
  await withClient(database.superUrl, (client) =>
    client.query(`create schema "Ext"; create extension hstore schema "Ext"; grant usage on schema "Ext" to public`),
  );
  const pool = createPool({ url: database.url });
  const installation = createPostgresInstallation({ pool });
  await pool.query("create schema shop; create table shop.item (id integer primary key, v text)");
  await installation.apply([wantedTable("shop.item")]);
  await pool.query("insert into shop.item values (1, 'a'); update shop.item set v = 'b'; delete from shop.item");
  expect((await pool.query(`select op from tombolo.change order by seq`)).rows.map(({ op }) => op)).toEqual(["I", "U", "D"]);
  await installation.uninstall();
  expect((await pool.query("select count(*) as n from pg_extension where extname = 'hstore'")).rows).toEqual([{ n: "1" }]);
  await pool.end();
  await database.drop();
});

test("what can't be replicated is refused with its reason, and nothing is installed", async () => {
  const db = await bare(`
    create schema shop;
    create table shop.no_key (id integer, v text);
    create table shop.nullable_key (id integer unique);
    create table shop.partial_key (id integer not null); create unique index on shop.partial_key (id) where id > 0;
    create table shop.expression_key (id text not null); create unique index on shop.expression_key (lower(id));
    create table shop.deferrable_key (id integer primary key deferrable);
    create table shop.generated_key (a integer, b integer generated always as (a + 1) stored, primary key (b));
    create unlogged table shop.unlogged (id integer primary key);
    create view shop.view as select 1 as id; create materialized view shop.matview as select 1 as id;
    create table shop.old_parent (id integer primary key); create table shop.old_child (primary key (id)) inherits (shop.old_parent);
    create table shop.parts (id integer primary key) partition by list (id); create table shop.part partition of shop.parts default;
    create domain shop.number as oid; create table shop.large (id integer primary key, data shop.number);
    create table shop.forced (id integer primary key); alter table shop.forced enable row level security, force row level security;
    create table shop.unique_key (id integer not null unique, file oid);
    create function shop.f() returns trigger language plpgsql as 'begin return null; end';
    create trigger app after insert on shop.unique_key for each row execute function shop.f();
  `);
  await withClient(db.superUrl, async (client) => {
    await client.query(
      `create extension if not exists lo schema public; create extension postgres_fdw schema public; create server s foreign data wrapper postgres_fdw; create foreign table shop.foreign (id integer) server s`,
    );
    await client.query(
      `create table shop.others (id integer primary key); create table shop.theirs (id integer primary key); grant select, trigger on shop.theirs to ${db.role}`,
    );
    await client.query(`create table shop.real_lo (id integer primary key, data public.lo); alter table shop.real_lo owner to ${db.role}`);
    await client.query(
      `create table shop.hidden (id integer primary key); alter table shop.hidden enable row level security; grant all on shop.hidden to ${db.role}`,
    );
  });
  const names = [
    "no_key",
    "nullable_key",
    "partial_key",
    "expression_key",
    "deferrable_key",
    "generated_key",
    "unlogged",
    "view",
    "matview",
    "old_parent",
    "old_child",
    "part",
    "real_lo",
    "forced",
    "foreign",
    "others",
    "hidden",
    "absent",
  ];
  const refused = [...names.map((name) => wantedTable(`shop.${name}`)), wantedTable("pg_catalog.pg_class"), wantedTable("tombolo.change")];
  const plan = await db.installation.plan(refused);
  expect(codes(plan)).toEqual([
    "shop.no_key TABLE_WITHOUT_KEY",
    "shop.nullable_key TABLE_WITHOUT_KEY",
    "shop.partial_key TABLE_WITHOUT_KEY",
    "shop.expression_key TABLE_WITHOUT_KEY",
    "shop.deferrable_key TABLE_KEY_DEFERRABLE",
    "shop.generated_key TABLE_KEY_GENERATED",
    "shop.unlogged TABLE_UNLOGGED",
    "shop.view TABLE_KIND",
    "shop.matview TABLE_KIND",
    "shop.old_parent TABLE_INHERITS",
    "shop.old_child TABLE_INHERITS",
    "shop.part TABLE_IS_PARTITION",
    "shop.real_lo COLUMN_LARGE_OBJECT",
    "shop.forced TABLE_HIDES_ROWS",
    "shop.foreign TABLE_KIND",
    "shop.others TABLE_PRIVILEGE",
    "shop.hidden TABLE_HIDES_ROWS",
    "shop.absent TABLE_MISSING",
    "pg_catalog.pg_class TABLE_OF_SYSTEM",
    "tombolo.change TABLE_MISSING",
  ]);
  expect(plan.findings.every(({ hint }) => hint !== undefined && hint.length > 0)).toBe(true);
  await expect(db.installation.apply(refused)).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS", kind: "operator" });
  expect(await db.one("select to_regnamespace('tombolo') as schema")).toEqual({ schema: null });

  const allowed = [wantedTable("shop.unique_key"), wantedTable("shop.theirs"), wantedTable("shop.parts"), wantedTable("shop.large")];
  expect(codes(await db.installation.apply(allowed), "warning").sort()).toEqual(
    [
      "shop.theirs CAPTURE_NOT_ALWAYS",
      "shop.theirs TABLE_NOT_WRITABLE",
      "shop.unique_key COLUMN_OID",
      "shop.unique_key TABLE_HAS_TRIGGERS",
      "shop.large COLUMN_OID",
    ].sort(),
  );
  await withClient(db.superUrl, (client) => client.query("insert into shop.theirs values (1)"));
  expect(await db.one("select op from tombolo.change")).toEqual({ op: "I" });
  expect(await db.installation.verify()).toEqual([]);
  await db.drop();
});

test("a table that leaves the topology loses its triggers, and one that comes later gets a number of its own", async () => {
  const db = await capturedDatabase(
    "create schema shop; create table shop.a (id integer primary key); create table shop.b (id integer primary key)",
    ["shop.a", "shop.b"],
  );
  const idOf = async (name: string) => (await db.query("select id from tombolo.captured_table where table_name = $1", [name]))[0]?.id;
  const old = await idOf("shop.b");
  await db.query(
    "insert into tombolo.peer (name, role) values ('near', 'child'); insert into tombolo.peer_table select id, 'shop.b', true from tombolo.peer",
  );
  const plan = await db.installation.apply([wantedTable("shop.a")]);
  expect(plan.steps.every(({ action }) => action === "drop")).toBe(true);
  expect(
    await db.query("select tgrelid::regclass::text as t, count(*) as n from pg_trigger where tgname like 'tombolo%' group by 1"),
  ).toEqual([{ t: "shop.a", n: "4" }]);
  expect(await db.query("select from tombolo.peer_table")).toEqual([]);
  await db.installation.apply([wantedTable("shop.a"), wantedTable("shop.b")]);
  expect(Number(await idOf("shop.b"))).toBeGreaterThan(Number(old));
  await db.drop();
});

test("installing never makes a writer wait long for a table that is in use", async () => {
  const db = await bare("create schema shop; create table shop.item (id integer primary key)");
  await withClient(db.url, async (holder) => {
    await holder.query("begin; insert into shop.item values (1)");
    const installing = db.installation.apply([wantedTable("shop.item")]);
    const started = performance.now();
    let longest = 0;
    await withClient(db.url, async (writer) => {
      for (let id = 2; performance.now() - started < 1_500; id++) {
        const before = performance.now();
        await writer.query("insert into shop.item values ($1)", [id]);
        longest = Math.max(longest, performance.now() - before);
      }
    });
    expect(longest).toBeLessThan(1_200);
    await holder.query("commit");
    expect((await installing).steps.length).toBeGreaterThan(0);
  });
  await db.drop();
});

test("a database of a newer version is refused", async () => {
  const db = await capturedDatabase("create schema shop; create table shop.a (id integer primary key)", ["shop.a"]);
  await db.query("insert into tombolo.migration (version, name) values (9999, 'future')");
  const { plan, apply, examine } = db.installation;
  for (const refused of [() => plan([]), () => apply([]), () => examine()]) {
    await expect(refused()).rejects.toMatchObject({ code: "DATABASE_NEWER", kind: "newer" });
  }
  await db.drop();
});

test("a copy of the database is noticed, and gets an epoch of its own by installing anew", async () => {
  const db = await capturedDatabase("create schema shop; create table shop.a (id integer primary key)", ["shop.a"]);
  const who = await db.installation.identity();
  expect(who).toMatchObject({ epoch: expect.stringMatching(/^[0-9a-f-]{36}$/), version: expect.stringMatching(/^PostgreSQL \d/) });
  expect(Math.abs(who.clockOffsetMs)).toBeLessThan(1_000);
  const copy = `${db.role}_copy`;
  // a template must not be in use
  await withClient(await serverUrl(), (client) =>
    client.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [db.role]),
  );
  await withClient(await serverUrl(), (client) => client.query(`create database ${copy} template ${db.role}`));
  const copied = createPool({ url: db.superUrl.replace(db.role, copy) });
  const installation = createPostgresInstallation({ pool: copied });
  await expect(installation.identity()).rejects.toMatchObject({ code: "DATABASE_CLONED", kind: "operator" });
  // its hint helps
  await installation.uninstall();
  await expect(installation.identity()).rejects.toMatchObject({ code: "NOT_INSTALLED" });
  await installation.apply([wantedTable("shop.a")]);
  expect((await installation.identity()).epoch).not.toBe(who.epoch);
  await copied.end();
  await withClient(await serverUrl(), (client) => client.query(`drop database ${copy}`));
  await db.drop();
});

test("a neighbour is paused and resumed", async () => {
  const db = await capturedDatabase("create schema shop; create table shop.a (id integer primary key)", ["shop.a"]);
  await expect(db.installation.setPaused(nodeName("near"), true)).rejects.toMatchObject({ code: "PEER_UNKNOWN" });
  await db.query("insert into tombolo.peer (name, role, state, received_packet_no) values ('near', 'child', 'live', 9007199254740993)");
  await db.installation.setPaused(nodeName("near"), true);
  expect((await db.installation.status()).peers).toMatchObject([{ name: "near", state: "paused", receivedPacket: 9007199254740993n }]);
  await db.installation.setPaused(nodeName("near"), false);
  expect((await db.installation.status()).peers[0]?.state).toBe("live");
  expect((await db.installation.examine()).map(({ code }) => code)).toEqual(
    expect.arrayContaining(["SERVER_VERSION", "INSTALLED", "PRIVILEGES"]),
  );
  await db.drop();
});
