import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type CapturedDatabase, capturedDatabase, wantedTable } from "../helpers/captured.ts";
import { freshDatabase, withClient } from "../helpers/postgres.ts";

let db: CapturedDatabase;
const DDL = `
  create schema shop;
  create table shop.item (id integer primary key, v text);
  create table shop.other (id integer primary key);
  create table shop.part (id integer primary key, v text) partition by range (id);
  create table shop.part_1 partition of shop.part for values from (0) to (10);
`;
const WANTED = ["shop.item", "shop.other", "shop.part"];

beforeAll(async () => {
  db = await capturedDatabase(DDL, WANTED);
});
afterAll(() => db.drop());

const apply = () => db.installation.apply(WANTED.map((name) => wantedTable(name)));
const found = async () => (await db.installation.verify()).map(({ table, code }) => `${table} ${code}`);
const states = async () =>
  (await db.installation.status()).tables.flatMap(({ table, state, reason }) => (state === "live" ? [] : [`${table} ${state} ${reason}`]));

/** The drift is told and recorded, survives its own repair as must_compare, and no other table is touched. */
async function expectDrift(table: string, code: string) {
  expect(await found()).toEqual([`${table} ${code}`]);
  expect(await states()).toEqual([`${table} must_compare ${code}`]);
}

async function expectRepaired() {
  await apply();
  expect(await found()).toEqual([]);
  expect(await states()).toHaveLength(1);
  await db.query("update tombolo.captured_table set state = 'live', reason = null");
}

describe("what lets changes pass unseen is found", () => {
  test.each([
    ["a dropped trigger", "drop trigger tombolo_capture_update on shop.item", "TRIGGER_MISSING"],
    ["a renamed trigger", "alter trigger tombolo_capture_delete on shop.item rename to something", "TRIGGER_MISSING"],
    ["a disabled trigger", "alter table shop.item disable trigger tombolo_capture_insert", "TRIGGER_DISABLED"],
    ["all triggers disabled", "alter table shop.item disable trigger user", "TRIGGER_DISABLED"],
    ["a trigger that no longer fires always", "alter table shop.item enable trigger tombolo_capture_insert", "TRIGGER_DISABLED"],
    [
      "a trigger with a condition",
      "drop trigger tombolo_capture_truncate on shop.item; create trigger tombolo_capture_truncate after truncate on shop.item for each statement when (false) execute function tombolo.capture_truncate('1', '{id}', '{}', 'changed'); alter table shop.item enable always trigger tombolo_capture_truncate",
      "TRIGGER_CHANGED",
    ],
    ["a new column", "alter table shop.item add column w text", "TABLE_ALTERED"],
    ["a renamed column", "alter table shop.item rename column w to x", "TABLE_ALTERED"],
    ["a column of another type", "alter table shop.item alter column x type varchar(10)", "TABLE_ALTERED"],
    ["a dropped column", "alter table shop.item drop column x", "TABLE_ALTERED"],
    [
      "rows rewritten by ALTER TYPE USING, to the same type",
      "insert into shop.item values (1, 'a'); alter table shop.item alter column v type text using v || '!'",
      "TABLE_REWRITTEN",
    ],
    [
      "a changed key",
      "alter table shop.item drop constraint item_pkey, add unique (id), alter v set not null; alter table shop.item add primary key (v)",
      "TABLE_ALTERED",
    ],
  ])("%s", async (_, sql, code) => {
    await db.query(sql);
    await expectDrift("shop.item", code);
    await expectRepaired();
  });

  test("a disabled trigger on a partition", async () => {
    await db.query("alter table shop.part_1 disable trigger tombolo_capture_insert");
    await expectDrift("shop.part", "TRIGGER_DISABLED");
    await expectRepaired();
  });

  test("a partition that is attached with rows, or detached", async () => {
    await db.query(
      "create table shop.part_2 (id integer primary key, v text); insert into shop.part_2 values (11, 'x'); alter table shop.part attach partition shop.part_2 for values from (10) to (20)",
    );
    await expectDrift("shop.part", "PARTITION_ATTACHED");
    await expectRepaired();
    await db.query("alter table shop.part detach partition shop.part_2");
    await expectDrift("shop.part", "PARTITION_DETACHED");
    await expectRepaired();
  });

  test("a capture function that was changed stops every table, and apply puts it back", async () => {
    await db.query("create or replace function tombolo.capture_insert() returns trigger language plpgsql as 'begin return null; end'");
    expect(await found()).toEqual(WANTED.map((table) => `${table} CAPTURE_FUNCTION_CHANGED`));
    await apply();
    expect(await found()).toEqual([]);
    await db.query(
      "update tombolo.captured_table set state = 'live', reason = null; delete from tombolo.change; insert into shop.other values (77)",
    );
    expect((await db.taken()).map(({ op }) => op)).toEqual(["I"]);
  });

  test("a renamed table and a dropped one are named so, and a new one of the name is taken over", async () => {
    await db.query("alter table shop.other rename to another");
    await expectDrift("shop.other", "TABLE_RENAMED");
    await db.query("create table shop.other (id integer primary key)");
    await expectDrift("shop.other", "TABLE_RENAMED");
    await expectRepaired();
    expect(await db.query("select from pg_trigger where tgrelid = 'shop.another'::regclass and not tgisinternal")).toEqual([]);
    await db.query("drop table shop.other");
    await expectDrift("shop.other", "TABLE_DROPPED");
    await db.query("create table shop.other (id integer primary key)");
    await expectRepaired();
  });
});

test("what is harmless is no drift: VACUUM FULL, ANALYZE, an index, a new empty partition, a truncate", async () => {
  await db.query("insert into shop.other values (1)");
  for (const sql of [
    "vacuum full shop.other",
    "analyze shop.other",
    "create index on shop.other (id)",
    "alter table shop.other alter column id set statistics 50",
    "truncate shop.other",
  ]) {
    await db.query(sql);
    expect(await found()).toEqual([]);
  }
  await db.query("create table shop.part_3 partition of shop.part for values from (30) to (40)");
  expect(await found()).toEqual([]);
  await db.query("delete from tombolo.change; insert into shop.part values (35, 'a'); update shop.part_3 set v = 'b'");
  expect((await db.taken()).map(({ op }) => op)).toEqual(["I", "U"]);
  expect(await states()).toEqual([]);
});

test("a verified hole is written down once, and a cycle without news writes nothing", async () => {
  const writes = async () => (await db.query("select xmin from tombolo.captured_table order by id")).map(({ xmin }) => xmin);
  await db.query("alter table shop.item disable trigger tombolo_capture_insert");
  await db.installation.verify();
  const before = await writes();
  await db.installation.verify();
  expect(await writes()).toEqual(before);
  await expectRepaired();
});

test("a table that a native subscription writes to is captured by row, and what the subscription applies is captured", async () => {
  const source = await freshDatabase();
  const slot = `slot_${db.role}`;
  await withClient(source.superUrl, (client) =>
    client.query(`create schema shop; create table shop.item (id integer primary key, v text); create publication p for table shop.item`),
  );
  await withClient(source.superUrl, (client) => client.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [slot]));
  const sink = await capturedDatabase("create schema shop; create table shop.item (id integer primary key, v text)", ["shop.item"]);
  const { username, password, pathname } = new URL(source.superUrl);
  const port = (await sink.query("select current_setting('port') as port"))[0]?.port;
  const connection = `host=127.0.0.1 port=${port} user=${username} password='${password}' dbname=${pathname.slice(1)}`;
  await withClient(sink.superUrl, (client) =>
    client.query(
      `create subscription s connection ${pg.escapeLiteral(connection)} publication p with (create_slot = false, slot_name = '${slot}', copy_data = false)`,
    ),
  );
  try {
    expect((await sink.installation.verify()).map(({ code }) => code)).toEqual(["CAPTURE_BY_ROW"]);
    await sink.installation.apply([wantedTable("shop.item")]);
    expect(await sink.installation.verify()).toEqual([]);
    await withClient(source.superUrl, async (client) => {
      await client.query("insert into shop.item values (1, 'a')");
      await client.query("update shop.item set v = 'b'");
      await client.query("delete from shop.item");
    });
    await vi.waitFor(
      async () => expect((await sink.query("select op from tombolo.change order by seq")).map(({ op }) => op)).toEqual(["I", "U", "D"]),
      {
        timeout: 20_000,
        interval: 50,
      },
    );
  } finally {
    await withClient(sink.superUrl, async (client) => {
      await client.query("alter subscription s disable");
      await client.query("alter subscription s set (slot_name = none)");
      await client.query("drop subscription s");
    });
    await vi.waitFor(() => withClient(source.superUrl, (client) => client.query("select pg_drop_replication_slot($1)", [slot])), {
      timeout: 10_000,
    });
    await sink.drop();
    await source.drop();
  }
});
