import { afterAll, beforeAll, expect, test } from "vitest";
import { type CapturedDatabase, capturedDatabase, type LoggedChange } from "../helpers/captured.ts";

// A statement is logged when it is done, after what its triggers and cascades did to the same rows: the log must tell it in the true order.

let db: CapturedDatabase;
const TABLES = ["bumped", "toggled", "tree", "kept", "replaced", "vanishing", "parted", "mixed"];
const COLUMNS = "id integer primary key, v text, n integer not null default 0";

beforeAll(async () => {
  db = await capturedDatabase(
    `create schema shop;
     create table shop.bumped (${COLUMNS}); create table shop.toggled (${COLUMNS}); create table shop.kept (${COLUMNS}); create table shop.replaced (${COLUMNS});
     create table shop.vanishing (${COLUMNS}); create table shop.mixed (${COLUMNS});
     create table shop.parted (${COLUMNS}) partition by range (id); create table shop.parted_1 partition of shop.parted default;
     create table shop.tree (id integer primary key, v text, n integer not null default 0, up integer references shop.tree on update cascade on delete cascade);
     create function shop.bump() returns trigger language plpgsql as $$ begin
       execute format('update shop.%I set n = n + 1, v = v || ''!'' where id = $1', tg_argv[0]) using new.id; return null; end $$;
     create trigger a after update of v on shop.bumped for each row when (old.v is distinct from new.v and new.n < 3) execute function shop.bump('bumped');
     create trigger a after update of v on shop.parted for each row when (old.v is distinct from new.v and new.n < 3) execute function shop.bump('parted');
     create trigger a after insert or update of v on shop.mixed for each row when (new.n < 2) execute function shop.bump('mixed');
     create function shop.undo() returns trigger language plpgsql as $$ begin update shop.toggled set v = old.v where id = new.id and v <> old.v and n = 0; return null; end $$;
     create trigger a after update of v on shop.toggled for each row when (new.v = 'forbidden') execute function shop.undo();
     create function shop.keep() returns trigger language plpgsql as $$ begin insert into shop.kept select (old).*; return null; end $$;
     create trigger a after delete on shop.kept for each row execute function shop.keep();
     create function shop.make_room() returns trigger language plpgsql as $$ begin delete from shop.replaced where id = new.id; return new; end $$;
     create trigger a before insert on shop.replaced for each row execute function shop.make_room();
     create function shop.vanish() returns trigger language plpgsql as $$ begin delete from shop.vanishing where id = new.id; return null; end $$;
     create trigger a after insert on shop.vanishing for each row when (new.v = 'gone') execute function shop.vanish();`,
    TABLES.map((name) => `shop.${name}`),
  );
});
afterAll(() => db.drop());

type Row = { readonly [column: string]: string | null };

/** Replays the log strictly: every change must find what it says it found. */
function replay(rows: Map<string, Row>, changes: readonly LoggedChange[]): void {
  for (const { op, key, old, new: after } of changes) {
    const id = String(key.id);
    const present = rows.get(id);
    if (op === "I") expect(present).toBeUndefined();
    else expect(present).toMatchObject(old ?? {});
    if (op === "D") rows.delete(id);
    else rows.set(id, { ...present, ...after });
  }
}

async function expectExact(table: string, statements: readonly string[]): Promise<void> {
  const rows = new Map<string, Row>();
  for (const statement of statements) {
    await db.query(statement);
    replay(rows, await db.taken());
    const now = await db.query(`select * from shop.${table}`);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(now.map((row) => [String(row.id), row])));
  }
}

test.each(["bumped", "parted"])("an AFTER trigger that updates the row again, several levels deep (%s)", async (table) => {
  await expectExact(table, [
    `insert into shop.${table} (id, v) select g, 'a' from generate_series(1, 200) g`,
    `update shop.${table} set v = 'b' where id <= 100`,
    `begin; update shop.${table} set v = 'c', n = 0; update shop.${table} set v = 'd', n = 1 where id < 5; delete from shop.${table} where id = 2; commit`,
    `do $$ begin for i in 10..20 loop update shop.${table} set v = 'e', n = 0 where id = i; update shop.${table} set v = 'f' where id = i; end loop; end $$`,
  ]);
});

test("a trigger that sets a value back to what it was", async () => {
  await expectExact("toggled", [
    "insert into shop.toggled (id, v) values (1, 'a'), (2, 'b')",
    "update shop.toggled set v = 'forbidden'",
    "update shop.toggled set v = 'forbidden', n = 1",
  ]);
});

test("cascades within one table: keys that move, subtrees that go", async () => {
  await expectExact("tree", [
    "insert into shop.tree (id, v, up) values (1, 'a', null), (2, 'b', 1), (3, 'c', 2), (4, 'd', 1)",
    "update shop.tree set id = id + 100, v = v || '!' where id in (1, 3)",
    "update shop.tree set id = id + 1000",
    "delete from shop.tree where up is null or v = 'd'",
  ]);
});

test("rows that a trigger puts back, replaces, or removes at once", async () => {
  await expectExact("kept", [
    "insert into shop.kept (id, v) values (1, 'a')",
    "delete from shop.kept",
    "begin; update shop.kept set v = 'b'; delete from shop.kept; commit",
  ]);
  await expectExact("replaced", [
    "insert into shop.replaced (id, v) values (1, 'a')",
    "insert into shop.replaced (id, v) values (1, 'a')",
    "insert into shop.replaced (id, v) values (1, 'b'), (2, 'c')",
  ]);
  await expectExact("vanishing", ["insert into shop.vanishing (id, v) values (1, 'gone'), (2, 'stays')"]);
});

test("an upsert whose triggers touch both the inserted and the updated rows", async () => {
  await expectExact("mixed", [
    "insert into shop.mixed (id, v) values (1, 'a')",
    "insert into shop.mixed (id, v, n) values (1, 'b', 0), (2, 'c', 0) on conflict (id) do update set v = excluded.v, n = 0",
    "do $$ begin for i in 1..5 loop insert into shop.mixed (id, v, n) values (i, 'x', 0) on conflict (id) do update set v = excluded.v, n = 0; end loop; end $$",
  ]);
});

test("five hundred rows whose triggers update them again take seconds at most", async () => {
  await db.query("truncate shop.bumped; insert into shop.bumped (id, v) select g, 'a' from generate_series(1, 500) g");
  await db.taken();
  const started = performance.now();
  await db.query("update shop.bumped set v = 'b'");
  expect(performance.now() - started).toBeLessThan(15_000);
  await db.taken();
});

test("MERGE with all its actions, where the server has it", async ({ skip }) => {
  const version = (await db.query("select current_setting('server_version_num')::integer as number"))[0]?.number;
  if (Number(version) < 150_000) skip();
  await db.query("truncate shop.mixed");
  await db.taken();
  await expectExact("mixed", [
    "insert into shop.mixed (id, v, n) values (1, 'a', 5), (2, 'b', 5), (3, 'c', 5)",
    `merge into shop.mixed t using (values (1, 'gone'), (2, 'new'), (3, 'c'), (4, 'd')) as s (id, v) on t.id = s.id
       when matched and s.v = 'gone' then delete when matched and t.v <> s.v then update set v = s.v when matched then do nothing
       when not matched then insert (id, v, n) values (s.id, s.v, 5)`,
  ]);
});
