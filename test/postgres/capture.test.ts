import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CapturedDatabase, capturedDatabase, type LoggedChange, wantedTable } from "../helpers/captured.ts";
import { withClient } from "../helpers/postgres.ts";

let db: CapturedDatabase;
const DDL = `
  create schema shop;
  create table shop.item (id integer primary key, name text, price numeric(10,2), code text unique);
  create table shop."Größe ""x'" ("der Schlüssel" text, "teil\\2" integer, "naïve, {col}" text, primary key ("teil\\2", "der Schlüssel"));
  create table shop.whole (id integer primary key, a text, b text);
  create table shop.made (id integer generated always as identity primary key, a integer, twice integer generated always as (a * 2) stored);
  create table shop.parent (id integer primary key);
  create table shop.child (id integer primary key, parent_id integer references shop.parent on delete cascade on update cascade, up integer references shop.child on delete set null);
  create table shop.measured (day date, id integer, v text, primary key (day, id)) partition by range (day);
  create table shop.measured_1 partition of shop.measured for values from ('2026-01-01') to ('2026-02-01');
  create table shop.measured_2 partition of shop.measured for values from ('2026-02-01') to ('2026-03-01');
  create table shop.typed (id integer primary key, at timestamptz, d date, i interval, f float8, b bytea, m money, x text[]);
`;

beforeAll(async () => {
  const names = ["item", "Größe \"x'", "made", "parent", "child", "measured", "typed"];
  db = await capturedDatabase(DDL, [...names.map((name) => `shop.${name}`), wantedTable("shop.whole", "row")]);
});
afterAll(() => db.drop());

const brief = (changes: readonly LoggedChange[]) =>
  changes.map(({ op, key, old, new: after }) => [
    op,
    ...Object.values(key),
    ...(old === null ? [] : [old]),
    ...(after === null ? [] : [after]),
  ]);

describe("what is logged", () => {
  test("inserts and deletes carry the whole row, updates the changed columns, no-ops nothing", async () => {
    await db.query("insert into shop.item values (1, 'a', 1.50, null)");
    await db.query("update shop.item set name = 'b', price = 1.50 where id = 1");
    await db.query("update shop.item set name = name");
    await db.query("update shop.item set price = null where id = 1");
    await db.query("update shop.item set name = 'x' where id = 99");
    await db.query("delete from shop.item where id = 99");
    await db.query("delete from shop.item");
    expect(brief(await db.taken())).toEqual([
      ["I", "1", { id: "1", name: "a", price: "1.50", code: null }],
      ["U", "1", { name: "a" }, { name: "b" }],
      ["U", "1", { price: "1.50" }, { price: null }],
      ["D", "1", { id: "1", name: "b", price: null, code: null }],
    ]);
  });

  test("however many rows a statement changes, one call logs them; one that changes none logs nothing", async () => {
    const calls = async (sql: string) => {
      let found: unknown[] = [];
      await withClient(db.superUrl, async (client) => {
        await client.query(`begin; set local track_functions = 'all'; ${sql}`);
        const { rows } = await client.query(
          "select regexp_replace(funcname, '^capture_', '') as name, calls::int from pg_stat_xact_user_functions where schemaname = 'tombolo' and funcname like 'capture\\_%'",
        );
        found = rows.map(({ name, calls: count }) => `${name} ${count}`);
        await client.query("commit");
      });
      return [found, (await db.taken()).length];
    };
    expect(await calls("insert into shop.item (id) select generate_series(1, 5000)")).toEqual([["insert 1"], 5000]);
    expect(await calls("update shop.item set name = 'many'")).toEqual([["update 1"], 5000]);
    expect(await calls("update shop.item set name = name")).toEqual([["update 1"], 0]);
    expect(await calls("delete from shop.item")).toEqual([["delete 1"], 5000]);
  });

  test("a table with whole images logs both rows of an update", async () => {
    await db.query(
      "insert into shop.whole values (1, 'a', 'b'); update shop.whole set a = 'c'; update shop.whole set a = 'c'; delete from shop.whole",
    );
    expect(brief(await db.taken()).slice(1, -1)).toEqual([["U", "1", { id: "1", a: "a", b: "b" }, { id: "1", a: "c", b: "b" }]]);
  });

  test("names with quotes, spaces, umlauts and backslashes, and a key of several columns in its own order", async () => {
    const table = `shop."Größe ""x'"`;
    await db.query(`insert into ${table} values ('k', 1, 'v'); update ${table} set "naïve, {col}" = 'w'; delete from ${table}`);
    const changes = await db.taken();
    expect(changes.map(({ op }) => op)).toEqual(["I", "U", "D"]);
    expect(changes.every(({ key }) => JSON.stringify(key) === JSON.stringify(changes[0]?.key))).toBe(true);
    expect(changes[1]).toMatchObject({
      key: { "der Schlüssel": "k", "teil\\2": "1" },
      old: { "naïve, {col}": "v" },
      new: { "naïve, {col}": "w" },
    });
  });

  test("generated columns do not travel, identity columns do", async () => {
    await db.query("insert into shop.made (a) values (2); update shop.made set a = 3");
    expect(brief(await db.taken())).toEqual([
      ["I", "1", { id: "1", a: "2" }],
      ["U", "1", { a: "2" }, { a: "3" }],
    ]);
  });

  test("COPY, a rolled back savepoint, and a truncate", async () => {
    await db.query("insert into shop.item select g, 'n' from generate_series(1, 3) g");
    await db.query(
      "begin; insert into shop.item values (4); savepoint s; insert into shop.item values (5); rollback to s; insert into shop.item values (6); commit",
    );
    await db.query("truncate shop.item");
    expect((await db.taken()).map(({ op, key }) => `${op}${key.id ?? ""}`)).toEqual(["I1", "I2", "I3", "I4", "I6", "T"]);
  });
});

describe("keys that change", () => {
  test("a change of the key is a delete and an insert", async () => {
    await db.query("insert into shop.item values (1, 'a')");
    await db.taken();
    await db.query("update shop.item set id = 2, name = 'b'");
    expect(brief(await db.taken())).toEqual(
      expect.arrayContaining([
        ["D", "1", { id: "1", name: "a", price: null, code: null }],
        ["I", "2", { id: "2", name: "b", price: null, code: null }],
      ]),
    );
    await db.query("truncate shop.item");
    await db.taken();
  });

  test("a swap of ten thousand keys is exact as a set, and so is a shift", async () => {
    await db.query("insert into shop.item (id, name) select g, g::text from generate_series(1, 10000) g");
    const before = await replay(new Map(), await db.taken());
    // by way of negative keys, so that the unique index never meets itself
    await db.query("update shop.item set id = -id");
    await db.query("update shop.item set id = 10001 + id");
    const after = await replay(before, await db.taken());
    const rows = await db.query("select id, name from shop.item order by id");
    expect(rows.map(({ id, name }) => `${id}=${name}`)).toEqual(
      [...after].map(([id, row]) => `${id}=${row.name}`).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
    );
    expect(rows[0]).toEqual({ id: "1", name: "10000" });
    await db.query("truncate shop.item");
    await db.taken();
  });
});

/** The table that comes of the changes, each key's row; fails when a change does not fit. */
function replay(start: Map<string, { [column: string]: string | null }>, changes: readonly LoggedChange[]) {
  const rows = new Map(start);
  for (const { op, key, old, new: after } of changes) {
    const id = String(key.id);
    if (op === "D") {
      expect(rows.get(id)).toEqual(old);
      rows.delete(id);
    } else if (op === "I") rows.set(id, { ...after });
    else rows.set(id, { ...rows.get(id), ...after });
  }
  return rows;
}

describe("statements that do several things", () => {
  test("ON CONFLICT logs what became of each row", async () => {
    await db.query("insert into shop.item (id, name) values (1, 'a')");
    await db.query("insert into shop.item (id, name) values (1, 'b'), (2, 'c') on conflict (id) do update set name = excluded.name");
    await db.query("insert into shop.item (id, name) values (1, 'z') on conflict do nothing");
    const rows = replay(new Map(), await db.taken());
    expect([...rows.values()].map((row) => `${row.id}${row.name}`).sort()).toEqual(["1b", "2c"]);
    await db.query("truncate shop.item");
    await db.taken();
  });

  test("cascades are logged once each, whatever the order", async () => {
    await db.query("insert into shop.parent values (1), (2); insert into shop.child values (1, 1, null), (2, 1, 1), (3, 2, 1)");
    await db.taken();
    await db.query("update shop.parent set id = 3 where id = 1");
    await db.query("delete from shop.parent where id = 3");
    const changes = await db.taken();
    const count = (op: string, table: string) => changes.filter((change) => change.op === op && change.table === table).length;
    expect([count("D", "shop.parent"), count("I", "shop.parent"), count("D", "shop.child")]).toEqual([2, 1, 2]);
    const third = changes.filter(({ table, key }) => table === "shop.child" && key.id === "3");
    expect(brief(third)).toEqual([["U", "3", { up: "1" }, { up: null }]]);
  });
});

describe("partitions", () => {
  test("rows are captured once, by way of the table and of the partition, and a row that moves is a delete and an insert", async () => {
    await db.query("insert into shop.measured values ('2026-01-05', 1, 'a'); insert into shop.measured_2 values ('2026-02-05', 2, 'b')");
    await db.query("update shop.measured_2 set v = 'c'; update shop.measured set v = v; delete from shop.measured_2");
    await db.query("update shop.measured set day = '2026-02-09' where id = 1");
    await db.query("truncate shop.measured");
    const day = (text: string, id: string) => [text, id];
    expect(brief(await db.taken())).toEqual(
      [
        ["I", ...day("1", "2026-01-05").reverse(), { day: "2026-01-05", id: "1", v: "a" }],
        ["I", ...day("2", "2026-02-05").reverse(), { day: "2026-02-05", id: "2", v: "b" }],
        ["U", ...day("2", "2026-02-05").reverse(), { v: "b" }, { v: "c" }],
        ["D", ...day("2", "2026-02-05").reverse(), { day: "2026-02-05", id: "2", v: "c" }],
        ["D", ...day("1", "2026-01-05").reverse(), { day: "2026-01-05", id: "1", v: "a" }],
        ["I", ...day("1", "2026-02-09").reverse(), { day: "2026-02-09", id: "1", v: "a" }],
        ["T"],
      ].map((entry) => expect.arrayContaining(entry)),
    );
    expect((await db.installation.status()).tables.every(({ state }) => state === "live")).toBe(true);
  });

  test("a partition that is truncated by itself marks the table", async () => {
    await db.query("insert into shop.measured values ('2026-01-05', 1, 'a')");
    await db.query("truncate shop.measured_1");
    expect((await db.installation.status()).tables.find(({ table }) => table === "shop.measured")).toMatchObject({
      state: "must_compare",
      reason: "PARTITION_TRUNCATED",
    });
    await db.query("update tombolo.captured_table set state = 'live', reason = null");
    await db.taken();
  });
});

describe("whatever the session is set to", () => {
  test("the text of values is the same", async () => {
    const values = "(1, '2026-03-04 05:06:07.123456+00', '2026-03-04', '1 mon 2 days 03:00', 0.1, '\\xff00', '1234.5', '{a,NULL,\"x y\"}')";
    const settings = [
      "datestyle = 'German, DMY'",
      "intervalstyle = 'sql_standard'",
      "timezone = 'Asia/Kolkata'",
      "extra_float_digits = -3",
      "bytea_output = 'escape'",
    ];
    await db.query(
      `begin; ${settings.map((setting) => `set local ${setting};`).join(" ")} insert into shop.typed values ${values}; commit`,
    );
    await db.query(`insert into shop.typed values ${values.replace("(1,", "(2,")}`);
    const [strange, plain] = await db.taken();
    expect({ ...strange?.new, id: "" }).toEqual({ ...plain?.new, id: "" });
    expect(plain?.new).toMatchObject({
      at: "2026-03-04 05:06:07.123456+00",
      i: "1 mon 2 days 03:00:00",
      f: "0.1",
      b: "\\xff00",
      x: '{a,NULL,"x y"}',
    });
  });

  test("a database that sets styles of its own changes neither the log nor our sessions", async () => {
    const name = (await db.query("select current_database() as name"))[0]?.name;
    const styles = [
      "datestyle to 'SQL, DMY'",
      "intervalstyle to 'iso_8601'",
      "timezone to 'America/St_Johns'",
      "lc_monetary to 'C'",
      "search_path to shop",
    ];
    await withClient(db.superUrl, async (client) => {
      for (const style of styles) await client.query(`alter database ${name} set ${style}`);
    });
    await withClient(db.url, async (client) => {
      expect((await client.query("show timezone")).rows).toEqual([{ TimeZone: "America/St_Johns" }]);
      await client.query("insert into typed (id, at, i) values (3, '2026-03-04 05:06:07+00', '1 day')");
    });
    const [change] = await db.taken();
    expect(change?.new).toMatchObject({ at: "2026-03-04 05:06:07+00", i: "1 day" });
    await withClient(db.superUrl, (client) => client.query(`alter database ${name} reset all`));
  });

  test.each(["origin", "local", "replica"])("capture fires under session_replication_role = %s", async (role) => {
    await withClient(db.superUrl, (client) =>
      client.query(
        `begin; set local session_replication_role = ${role}; insert into shop.parent values (50); delete from shop.parent where id = 50; truncate shop.parent cascade; commit`,
      ),
    );
    expect((await db.taken()).map(({ op }) => op)).toEqual(["I", "D", "T", "T"]);
  });
});

describe("who may do what", () => {
  test("an application role that forges the applier's mark, or a schema in front of the search path, is captured all the same", async () => {
    await withClient(db.superUrl, async (client) => {
      await client.query(
        `create role ${db.role}_app; grant ${db.role}_app to current_user; grant usage on schema shop to ${db.role}_app; grant insert, update on shop.item to ${db.role}_app`,
      );
      await client.query(`create schema evil authorization ${db.role}_app; grant create on schema evil to ${db.role}_app`);
      await client.query(`set role ${db.role}_app`);
      await client.query(
        "create function evil.clock_timestamp() returns timestamptz language plpgsql as $$ begin raise exception 'hijacked'; end $$",
      );
      await client.query(
        "create function evil.hstore(record) returns text language plpgsql as $$ begin raise exception 'hijacked'; end $$",
      );
      await client.query(
        "create table evil.log_state (segment smallint, listening boolean); create temp table change (like evil.log_state)",
      );
      await client.query("set search_path = evil, pg_catalog; set tombolo.apply = 'on'; set tombolo.peer = '1'");
      await client.query("insert into shop.item (id, name) values (70, 'seen')");
      expect((await client.query("select tombolo.applying()")).rows).toEqual([{ applying: false }]);
      for (const sql of [
        "select from tombolo.change",
        "update tombolo.peer set apply_xid = null",
        "select from tombolo.conflict_history",
        "truncate tombolo.change",
        "select nextval('tombolo.change_seq')",
      ]) {
        await expect(client.query(sql)).rejects.toMatchObject({ code: "42501" });
      }
      await client.query(`reset role; drop schema evil cascade; drop owned by ${db.role}_app; drop role ${db.role}_app`);
    });
    expect(brief(await db.taken())).toEqual([["I", "70", { id: "70", name: "seen", price: null, code: null }]]);
    await db.query("truncate shop.item");
    await db.taken();
  });

  test("what the applier writes is logged with its origin where others read it, not at all where nobody does, and never beyond its transaction", async () => {
    await db.query("insert into tombolo.peer (name, role, forwards) values ('near', 'child', false), ('far', 'child', true)");
    const apply = (peer: string, id: number) =>
      `begin; select set_config('tombolo.apply', 'on', true); update tombolo.peer set apply_xid = pg_current_xact_id() where name = '${peer}'; insert into shop.item (id) values (${id}); commit;`;
    const client = await db.pool.connect();
    await client.query(apply("near", 80));
    await client.query(apply("far", 81));
    // the same session, and a value of the setting that outlives a transaction
    await client.query("set tombolo.apply = 'on'; insert into shop.item (id) values (82); reset tombolo.apply");
    client.release();
    const origin = Number((await db.query("select id from tombolo.peer where name = 'far'"))[0]?.id);
    expect((await db.taken()).map((change) => [change.key.id, change.origin])).toEqual([
      ["81", origin],
      ["82", null],
    ]);
    await db.query("truncate shop.item; delete from tombolo.peer");
    await db.taken();
  });

  test("a sleeping replicator is woken by the first change of a transaction", async () => {
    await db.query("select setval('tombolo.log_listening', 1)");
    await withClient(db.url, async (client) => {
      const woken = new Promise((resolve) => client.once("notification", resolve));
      await client.query("listen tombolo");
      await db.query("insert into shop.item (id) values (90), (91)");
      expect(await woken).toMatchObject({ channel: "tombolo" });
    });
    await db.query("select setval('tombolo.log_listening', 0)");
    await db.taken();
  });
});
