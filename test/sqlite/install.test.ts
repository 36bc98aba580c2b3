import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { TomboloError } from "../../replicator/change/error.ts";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import { HUB, readAll, wanted, withDatabase } from "./database.ts";

const SCHEMA = `
  create table "odd ""name" (id integer primary key, "select" text, "größe" real, total as (id * 2));
  create table strict_one (k text primary key, v any) strict;
  create table loose (k text not null unique, v);
  create view seen as select 1 as x;
  create virtual table words using fts5 (body);
  create table no_key (a, b);
  create table nullable (k text primary key, v);
  create table audit (id integer primary key, at text);
  create trigger audited after insert on loose begin insert into audit (at) values ('now'); end;
`;
const GOOD = ['odd "name', "strict_one", "loose"];

const schemaOf = (application: Database.Database): unknown[] =>
  application.prepare("select type, name, tbl_name, sql from sqlite_schema order by type, name").raw().all();

test("plan names what apply does, apply does it once, and uninstall leaves the schema as it was", async () => {
  await withDatabase(SCHEMA, [], async ({ node, application }) => {
    const before = schemaOf(application);
    const plan = await node.installation.plan(wanted(GOOD));
    expect(plan.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(plan.steps.filter(({ object }) => object.includes("loose")).map(({ action }) => action)).toEqual(Array(6).fill("create"));
    expect(schemaOf(application)).toEqual(before);
    await Promise.all([node.installation.apply(wanted(GOOD)), node.installation.apply(wanted(GOOD))]);
    const installed = schemaOf(application);
    expect((await node.installation.plan(wanted(GOOD))).steps).toEqual([]);
    const { epoch } = await node.installation.identity();
    await node.installation.apply(wanted(GOOD));
    expect(schemaOf(application)).toEqual(installed);
    expect((await node.installation.identity()).epoch).toBe(epoch);
    application.exec("insert into loose values ('k', 1)");
    // a table less is no longer captured
    expect((await node.installation.plan(wanted(["loose"]))).steps.every(({ action }) => action === "drop")).toBe(true);
    await node.installation.apply(wanted(["loose"]));
    await expect(node.log.shapes([tableName("strict_one")])).rejects.toMatchObject({ code: "TABLE_NOT_CAPTURED" });
    expect((await node.installation.planUninstall()).steps.length).toBeGreaterThan(10);
    await node.installation.uninstall();
    expect(schemaOf(application)).toEqual(before);
  });
});

test("the journal mode goes back to what it was", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-sqlite-"));
  const { default: Sqlite } = await import("better-sqlite3");
  const path = join(folder, "application.db");
  const mode = (): unknown => {
    const application = new Sqlite(path);
    try {
      application.exec("create table if not exists t (id integer primary key)");
      return application.pragma("journal_mode", { simple: true });
    } finally {
      application.close();
    }
  };
  expect(mode()).toBe("delete");
  for (const step of ["apply", "uninstall"] as const) {
    const node = await openSqliteNode({ name: nodeName("store"), path });
    if (step === "apply") await node.installation.apply(wanted(["t"]));
    expect((await node.installation.examine()).map(({ code }) => code)).toContain("JOURNAL_MODE");
    await node.close();
    if (step === "apply") expect(mode()).toBe("wal");
  }
  rmSync(folder, { recursive: true });
});

test("what has no identity that lasts is refused by plan, with the reason, and apply refuses it too", async () => {
  await withDatabase(SCHEMA, [], async ({ node }) => {
    const bad = ["seen", "words", "words_data", "no_key", "nullable", "nowhere", "sqlite_schema"];
    const { findings } = await node.installation.plan(wanted(bad));
    expect(findings.map(({ table, code }) => [table, code])).toEqual([
      ["seen", "TABLE_IS_VIEW"],
      ["words", "TABLE_IS_VIRTUAL"],
      ["words_data", "TABLE_IS_VIRTUAL"],
      ["no_key", "TABLE_WITHOUT_KEY"],
      ["nullable", "KEY_NULLABLE"],
      ["nowhere", "TABLE_MISSING"],
      ["sqlite_schema", "TABLE_RESERVED"],
    ]);
    await expect(node.installation.apply(wanted(bad))).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS", kind: "operator" });
  });
});

test("plan says which generated columns do not travel, and captures the table", async () => {
  await withDatabase("create table priced (id integer primary key, net, gross as (net * 1.2))", [], async ({ node, application }) => {
    const plan = await node.installation.plan(wanted(["priced"]));
    expect(plan.findings).toMatchObject([{ severity: "ok", code: "GENERATED_COLUMNS", message: expect.stringContaining("gross") }]);
    await node.installation.apply(wanted(["priced"]));
    application.exec("insert into priced (id, net) values (1, 10)");
    const { changes } = await readAll(node, ["priced"]);
    expect(changes.map(({ new: row }) => Object.keys(JSON.parse(row ?? "{}")))).toEqual([["id", "net"]]);
  });
});

test("a column that refers to its own table has the type of what it refers to: with another one SQLite tells triggers a key that no row had", async () => {
  const tree = (key: string, up: string): string => `(id ${key} not null primary key, up ${up} references tree (id) on delete cascade)`;
  for (const [key, up, good] of [
    ["text", "text", true],
    ["integer", "integer", true],
    ["varchar(9)", "text", true],
    ["text", "integer", false],
    ["integer", "text", false],
    ["", "real", false],
  ] as const) {
    await withDatabase(`create table tree ${tree(key, up)}`, [], async ({ node }) => {
      const { findings } = await node.installation.plan(wanted(["tree"]));
      expect(
        findings.map(({ code }) => code),
        `${key}, ${up}`,
      ).toEqual(good ? [] : ["REFERENCE_TYPE"]);
    });
  }
});

test("a database that is not there, is none, or belongs to a newer version is told apart", async () => {
  const open = (path: string): Promise<unknown> =>
    openSqliteNode({ name: nodeName("store"), path }).catch((error: TomboloError) => [error.code, error.kind]);
  const folder = mkdtempSync(join(tmpdir(), "tombolo-sqlite-"));
  expect(await open(join(folder, "nowhere.db"))).toEqual(["DATABASE_MISSING", "connect"]);
  expect(await open(join(folder, "no", "folder.db"))).toEqual(["DATABASE_MISSING", "connect"]);
  rmSync(folder, { recursive: true });
  await withDatabase("create table t (id integer primary key)", ["t"], async ({ node, application }) => {
    application.exec("insert into tombolo_migration values (9999, 'future', 'now')");
    await expect(node.installation.plan(wanted(["t"]))).rejects.toMatchObject({ code: "DATABASE_NEWER", kind: "newer" });
  });
});

test("a table that was rebuilt or altered, or that lost a trigger, is found, recorded as a hole, and captured again by apply", async () => {
  const schema =
    "create table a (id integer primary key, v); create table b (id integer primary key, v); create table c (id integer primary key, v)";
  await withDatabase(schema, ["a", "b", "c"], async ({ node, application }) => {
    expect(await node.installation.verify()).toEqual([]);
    application.exec("insert into a values (1, 'x')");
    application.exec(
      "create table a2 (id integer primary key, v); insert into a2 select * from a; drop table a; alter table a2 rename to a",
    );
    application.exec("alter table b add column extra; drop trigger tombolo_capture_3_delete");
    expect((await node.installation.verify()).map(({ table, code }) => [table, code])).toEqual([
      ["a", "TRIGGER_MISSING"],
      ["b", "TABLE_CHANGED"],
      ["c", "TRIGGER_MISSING"],
    ]);
    const columnsOfB = async () => (await node.log.shapes([tableName("b")])).map(({ columns }) => columns.map(({ name }) => name));
    // what the log's images are of
    expect(await columnsOfB()).toEqual([["id", "v"]]);
    await node.installation.apply(wanted(["a", "b", "c"]));
    expect(await columnsOfB()).toEqual([["id", "v", "extra"]]);
    expect(await node.installation.verify()).toEqual([]);
    expect((await node.installation.status()).tables.map(({ state }) => state)).toEqual(["must_compare", "must_compare", "must_compare"]);
    application.exec("insert into a values (2, 'y'); insert into b values (1, 'v', 'e'); delete from c");
    const { changes } = await readAll(node, ["a", "b", "c"]);
    expect(changes.map((change) => change.new)).toEqual([
      '{"id":{"i":"1"},"v":"x"}',
      '{"id":{"i":"2"},"v":"y"}',
      '{"id":{"i":"1"},"v":"v","extra":"e"}',
    ]);
  });
});

test("images that were logged before columns came and went are still read by the columns they have", async () => {
  await withDatabase("create table a (id integer primary key, gone, v)", ["a"], async ({ node, application }) => {
    application.exec("insert into a values (1, 'g', 'x')");
    application.exec(
      "create table a2 (id integer primary key, v, later); insert into a2 select id, v, null from a; drop table a; alter table a2 rename to a",
    );
    await node.installation.apply(wanted(["a"]));
    application.exec("update a set later = 'l'");
    const { changes } = await readAll(node, ["a"]);
    expect(changes.map((change) => change.new)).toEqual(['{"id":{"i":"1"},"v":"x"}', '{"later":"l"}']);
  });
});

test("an application's trigger that is younger than ours is logged in its order all the same, and verify makes ours the youngest again", async () => {
  await withDatabase("create table a (id integer primary key, v)", ["a"], async ({ node, application }) => {
    application.exec("create trigger later after insert on a begin update a set v = v || '!' where id = new.id; end");
    application.exec("insert into a values (1, 'x')");
    const first = await readAll(node, ["a"]);
    expect(first.changes.map(({ op, new: row }) => [op, row])).toEqual([["I", '{"id":{"i":"1"},"v":"x!"}']]);
    expect(await node.installation.verify()).toEqual([]);
    application.exec("insert into a values (2, 'y')");
    const { changes } = await readAll(node, ["a"], { after: first.position });
    expect(changes.map(({ op }) => op)).toEqual(["I", "U"]);
  });
});

test("a table of 1500 columns is captured", async () => {
  const columns = Array.from({ length: 1500 }, (_, i) => `c${i}`);
  await withDatabase(`create table wide (id integer primary key, ${columns.join(", ")})`, ["wide"], async ({ node, application }) => {
    application.exec("insert into wide (id, c0, c1499) values (1, 'a', 'b'); update wide set c1499 = 'z', c700 = 7");
    const { changes } = await readAll(node, ["wide"]);
    expect(Object.keys(JSON.parse(changes[0]?.new ?? "{}"))).toHaveLength(1501);
    expect(changes[1]?.new).toBe('{"c700":{"i":"7"},"c1499":"z"}');
  });
});

test("a neighbour is paused and resumed, and status shows it", async () => {
  await withDatabase("create table a (id integer primary key)", ["a"], async ({ node }) => {
    await node.target.meet([{ name: HUB, role: "parent" }]);
    await node.installation.setPaused(HUB, true);
    expect((await node.target.peer(HUB)).paused).toBe(true);
    expect((await node.installation.status()).peers).toMatchObject([{ name: "hub", state: "paused" }]);
    await node.installation.setPaused(HUB, false);
    expect((await node.target.peer(HUB)).paused).toBe(false);
  });
});

test("a write by way of another connection's ATTACH is captured, in the log of the table's own file", async () => {
  await withDatabase("create table item (id integer primary key, v text)", ["item"], async ({ node, path }) => {
    const { default: Sqlite } = await import("better-sqlite3");
    const elsewhere = new Sqlite(":memory:");
    try {
      elsewhere.prepare("attach database ? as store").run(path);
      elsewhere.exec("create table item (id integer primary key, v text); insert into item values (9, 'not this')");
      elsewhere.exec(
        "begin; insert into store.item values (1, 'a'); update store.item set v = 'b'; insert into item values (8, 'nor this'); commit",
      );
    } finally {
      elsewhere.close();
    }
    const { changes } = await readAll(node, ["item"]);
    expect(changes.map(({ op, key }) => `${op} ${key}`)).toEqual(['I {"id":{"i":"1"}}', 'U {"id":{"i":"1"}}']);
  });
});
