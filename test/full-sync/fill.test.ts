import { setImmediate as breathe } from "node:timers/promises";
import pg from "pg";
import { describe, expect, test } from "vitest";
import type { FullSyncWatcher } from "../../replicator/full-sync/options.ts";
import type { SyncPhase } from "../../replicator/node/full-sync-runs.ts";
import { UNSEEN } from "../helpers/capture-switch.ts";
import { drift } from "../helpers/drift.ts";
import { agreeing, syncFully } from "../helpers/full-sync.ts";
import { CAPTURE, type TestNode, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, historyTable, nodeOf, PAIRS, parkedAt } from "../helpers/pair.ts";
import { serverUrl } from "../helpers/postgres.ts";
import { addThings } from "../helpers/things.ts";

const SCHEMA = both("create table product (id bigint primary key, name text)");
const TABLES = [{ name: "product" }];
const ALL = "select id, name from product order by id";

closeAfterEach();

const many = (node: TestNode, count: number): Promise<void> => addThings(node, { to: count });

/** Tells the phases: what is copied into a stage has one of its own. */
function watching(more: Partial<FullSyncWatcher> = {}): { readonly watcher: FullSyncWatcher; staged(): boolean } {
  const phases = new Set<SyncPhase>();
  const watcher: FullSyncWatcher = {
    ...agreeing,
    ...more,
    progress(progress) {
      phases.add(progress.phase);
      more.progress?.(progress);
    },
  };
  return { watcher, staged: () => phases.has("copy") };
}

const logged = (node: TestNode): Promise<(string | null)[][]> =>
  node.rows(`select count(*) from ${node.node.engine === "postgres" ? "tombolo.change" : "tombolo_change"}`);

describe.each(PAIRS)("empty tables, from %s to %s:", (above, below) => {
  const open = async (): Promise<{ parent: TestNode; child: TestNode }> => ({
    parent: await nodeOf(above, "hub", SCHEMA, TABLES),
    child: await nodeOf(below, "store", SCHEMA, TABLES),
  });

  test("are filled without a stage or a line in the log, and captured from then on as ever", async () => {
    const { parent, child } = await open();
    await many(parent, 5000);
    await parent.write("insert into product values (0, null), (-1, 'tab\tnew\nline \\N \\. é 漢')");
    const { watcher, staged } = watching();
    const result = await syncFully(parent.node, child.node, TABLES, { watcher, verify: true });
    expect(staged()).toBe(false);
    expect(result).toMatchObject({ state: "done", rows: 5002, differences: 0, receipt: { applied: { insert: 5002 }, parked: 0 } });
    expect(result.bytes).toBeGreaterThan(5000);
    expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
    if (below === "sqlite" || CAPTURE === "trigger") expect(await logged(child)).toEqual([["0"]]);
    expect(await child.node.installation.verify()).toEqual([]);
    const link = testLink(parent.node, child.node, TABLES);
    expect(await link.settle()).toMatchObject({ sent: 0, received: 0, parked: 0 });
    await child.write("insert into product values (9000, 'from below'); update product set name = 'also' where id = 7");
    await parent.write("update product set name = 'from above' where id = 8");
    expect(await link.settle()).toMatchObject({ sent: 2, conflicts: 0 });
    expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
    expect((await child.node.copies.runs.list(1))[0]).toMatchObject({ state: "done", rows: 5002 });
  });

  test("stay as they were when whoever is asked declines, or cancels while rows come", async () => {
    const { parent, child } = await open();
    await many(parent, 20_000);
    const declining = watching({ goAhead: async (found) => found[0]?.added !== 20_000 });
    expect(await syncFully(parent.node, child.node, TABLES, declining)).toMatchObject({ state: "cancelled", receipt: null });
    const controller = new AbortController();
    const aborting = watching({ progress: ({ bytes }) => void (bytes > 0 && controller.abort()) });
    await expect(syncFully(parent.node, child.node, TABLES, { ...aborting, signal: controller.signal })).rejects.toThrow();
    expect([declining.staged(), aborting.staged()]).toEqual([false, false]);
    expect(await child.rows(ALL)).toEqual([]);
    expect((await child.node.copies.runs.list(2)).map(({ state }) => state)).toEqual(["cancelled", "cancelled"]);
    expect(await child.node.installation.verify()).toEqual([]);
    expect(await syncFully(parent.node, child.node, TABLES)).toMatchObject({ state: "done", rows: 20_000 });
  });

  test("take the other way where the database refuses a row: the others arrive, and that one is parked", async () => {
    const parent = await nodeOf(above, "hub", SCHEMA, TABLES);
    const child = await nodeOf(
      below,
      "store",
      both("create table product (id bigint primary key, name text check (name <> 'thing 7'))"),
      TABLES,
    );
    await many(parent, 20);
    const { watcher, staged } = watching();
    await syncFully(parent.node, child.node, TABLES, { watcher });
    expect(staged()).toBe(true);
    expect(await child.rows("select count(*) from product")).toEqual([["19"]]);
    expect(await parkedAt(child)).toMatchObject([{ table: "product", op: "I" }]);
    expect(await child.node.installation.verify()).toEqual([]);
  });

  test("take the other way where they are empty because of an unsent change, which stays", async () => {
    const { parent, child } = await open();
    await parent.write("insert into product values (1, 'a')");
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await child.write("delete from product where id = 1");
    await parent.write("insert into product values (2, 'b')");
    const { watcher, staged } = watching();
    await syncFully(parent.node, child.node, TABLES, { watcher });
    expect(staged()).toBe(true);
    expect(await child.rows(ALL)).toEqual([["2", "b"]]);
    expect(await link.settle()).toMatchObject({ sent: 1, conflicts: 0 });
    expect(await parent.rows(ALL)).toEqual([["2", "b"]]);
  });

  test("take the other way where they are too large to wait for", async () => {
    const { parent, child } = await open();
    await many(parent, 20);
    const { filler } = child.node.copies;
    if (filler === undefined) throw new Error("a database has a filler");
    const most = { ...filler.most, bytes: 1 };
    const { watcher, staged } = watching();
    await syncFully(parent.node, { ...child.node, copies: { ...child.node.copies, filler: { ...filler, most } } }, TABLES, { watcher });
    expect(staged()).toBe(true);
    expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
  });

  test("are logged for the nodes below", async () => {
    const { parent, child } = await open();
    const leaf = await nodeOf(below, "leaf", SCHEMA, TABLES);
    const lower = testLink(child.node, leaf.node, TABLES);
    await lower.settle();
    // who has more than one neighbour hands on what it is given
    await testLink(parent.node, child.node, TABLES).settle();
    await many(parent, 50);
    const { watcher, staged } = watching();
    await syncFully(parent.node, child.node, TABLES, { watcher });
    expect(staged()).toBe(false);
    await lower.settle();
    expect(await leaf.rows(ALL)).toEqual(await parent.rows(ALL));
  });

  test("with foreign keys in rings and to themselves", async () => {
    const schema = both(
      "create table team (id bigint primary key, lead_id bigint); create table person (id bigint primary key, team_id bigint references team, boss_id bigint references person)",
    );
    const tables = [{ name: "person" }, { name: "team" }];
    const parent = await nodeOf(above, "hub", schema, tables);
    const child = await nodeOf(below, "store", schema, tables);
    await parent.write("insert into team values (1, 3), (2, null); insert into person values (5, 1, null), (1, 2, 5), (3, 1, 1)");
    await syncFully(parent.node, child.node, tables);
    for (const select of ["select * from team order by id", "select * from person order by id"])
      expect(await child.rows(select)).toEqual(await parent.rows(select));
    expect(await parkedAt(child)).toEqual([]);
    expect(await child.rows(`select count(*) from ${historyTable(child)}`)).toEqual([["0"]]);
  });

  test("with triggers of the application, which have done what they do at the source already", async () => {
    const schema = {
      postgres: `create table product (id bigint primary key, name text); create table note (id bigint primary key);
        create function noted() returns trigger language plpgsql as $$ begin insert into public.note values (new.id + 100); return null; end $$;
        create trigger noted after insert on product for each row execute function noted()`,
      sqlite: `create table product (id integer primary key, name text); create table note (id integer primary key);
        create trigger noted after insert on product begin insert into note values (new.id + 100); end`,
    };
    const tables = [{ name: "product" }, { name: "note" }];
    const parent = await nodeOf(above, "hub", schema, tables);
    const child = await nodeOf(below, "store", schema, tables);
    await parent.write("insert into product values (1, 'a'), (2, 'b'); delete from note where id = 102");
    const { watcher, staged } = watching();
    await syncFully(parent.node, child.node, tables, { watcher });
    expect(staged()).toBe(false);
    expect(await child.rows("select id from note")).toEqual([["101"]]);
    await testLink(parent.node, child.node, tables).settle();
    await child.write("insert into product values (3, 'c')");
    expect(await child.rows("select id from note order by id")).toEqual([["101"], ["103"]]);
  });
});

describe("an empty table of a Postgres", () => {
  // a slot sees the write
  test.skipIf(CAPTURE === "slot")(
    "that has got a row by the time it is locked takes the other way, and the row is kept in the history",
    async () => {
      const parent = await nodeOf("postgres", "hub", SCHEMA, TABLES);
      const child = await nodeOf("postgres", "store", SCHEMA, TABLES);
      await many(parent, 10);
      let release = (): void => undefined;
      const { watcher, staged } = watching({ progress: ({ phase }) => phase === "hand_over" && release() });
      const application = await holding(child, UNSEEN.postgres("insert into product values (77, 'only here')"));
      release = application.commitOnceWaitedFor;
      await syncFully(parent.node, child.node, TABLES, { watcher });
      await application.end();
      expect(staged()).toBe(true);
      expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
      expect(await child.rows("select parent_row, child_row ->> 'id' from tombolo.conflict_history")).toEqual([[null, "77"]]);
    },
  );

  test("is copied in binary where the types are the same, and as text where they are not: with the same values", async () => {
    const columns = (whole: string): string =>
      `create table item (id bigint primary key, a ${whole}, b numeric, c numeric(12,2), d double precision, e boolean, f bytea, g timestamptz, h date,
        i uuid, j varchar(20), k char(4), l json, m time, n real, o smallint, p text[], q jsonb, r interval)`;
    // without what is in text only, every column is of a type that is sent in binary
    const binary = columns("bigint").replace(/, p text\[\].*/, ")");
    const values =
      "2, -7, 'NaN', 1.50, 'Infinity', true, '\\x00ff5c', '2026-01-02 03:04:05.678901+02', '-infinity', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'it''s', 'ab', '{\"a\": 1 }', '23:59:59.5', 1.1, -3";
    for (const [schema, there, more] of [
      [binary, binary, ""],
      [columns("bigint"), columns("integer"), ", '{a,NULL,\"b c\"}', '{\"a\": [1]}', '1 mon -3 days'"],
    ] as const) {
      const parent = await nodeOf("postgres", "hub", both(schema), [{ name: "item" }]);
      const child = await nodeOf("postgres", "store", both(there), [{ name: "item" }]);
      await parent.write(`insert into item values (${values}${more}); insert into item (id) values (3)`);
      const { watcher, staged } = watching();
      await syncFully(parent.node, child.node, [{ name: "item" }], { watcher });
      expect(staged()).toBe(false);
      expect(await child.rows("select * from item order by id")).toEqual(await parent.rows("select * from item order by id"));
    }
  });

  test("is filled with identity and generated columns, and partitions; the next number is free", async () => {
    const tables = [{ name: "item" }, { name: "part" }];
    const schema = both(
      `create table item (id bigint generated always as identity primary key, n integer, twice integer generated always as (n * 2) stored);
       create table part (id bigint, region text, primary key (id, region)) partition by list (region);
       create table part_n partition of part for values in ('n'); create table part_rest partition of part default`,
    );
    const parent = await nodeOf("postgres", "hub", schema, tables);
    const child = await nodeOf("postgres", "store", schema, tables);
    await parent.write(
      "insert into item (n) select i from generate_series(1, 30) as i; insert into part select i, case when i % 2 = 0 then 'n' else 's' end from generate_series(1, 30) as i",
    );
    const { watcher, staged } = watching();
    await syncFully(parent.node, child.node, tables, { watcher });
    expect(staged()).toBe(false);
    for (const select of ["select id, n, twice from item order by id", "select * from part order by id"])
      expect(await child.rows(select)).toEqual(await parent.rows(select));
    await child.write("insert into item (n) values (99); insert into part values (31, 'n')");
    expect(await child.rows("select id from item where n = 99")).toEqual([["31"]]);
    expect(await testLink(parent.node, child.node, tables).settle()).toMatchObject({ sent: 2, parked: 0 });
  });

  test("of a role that may not act as a replica: foreign keys are minded, deferred ones too", async () => {
    const schema = both(
      "create schema shop; create table shop.team (id bigint primary key); create table shop.person (id bigint primary key, team_id bigint references shop.team deferrable initially deferred)",
    );
    const tables = [{ name: "shop.person" }, { name: "shop.team" }];
    const parent = await nodeOf(
      "postgres",
      "hub",
      both(schema.postgres.replace(" references shop.team deferrable initially deferred", "")),
      tables,
    );
    const child = await nodeOf("postgres", "store", schema, tables, { bareRole: true });
    await parent.write("insert into shop.team values (1); insert into shop.person values (7, 1), (8, 99)");
    await syncFully(parent.node, child.node, tables);
    expect(await child.rows("select id from shop.person")).toEqual([["7"]]);
    expect(await parkedAt(child)).toMatchObject([{ table: "shop.person", op: "I" }]);
    await parent.write("insert into shop.team values (99)");
    await testLink(parent.node, child.node, tables).settle();
    await drift(child, "delete from shop.person; delete from shop.team; set constraints all immediate");
    const { watcher, staged } = watching();
    await syncFully(parent.node, child.node, tables, { watcher });
    expect(staged()).toBe(false);
    expect(await child.rows("select id from shop.person order by id")).toEqual([["7"], ["8"]]);
  });
});

/** An application's transaction that has written, and is committed once somebody waits for its locks. */
async function holding(node: TestNode, sql: string): Promise<{ readonly commitOnceWaitedFor: () => void; end(): Promise<void> }> {
  const [[database]] = (await node.rows("select current_database()")) as [[string]];
  const at = new URL(await serverUrl());
  at.pathname = database;
  const [writer, observer] = [0, 1].map(() => new pg.Client({ connectionString: at.href })) as [pg.Client, pg.Client];
  await Promise.all([writer.connect(), observer.connect()]);
  await writer.query(`begin; ${sql}`);
  const waited =
    "select from pg_locks where relation = 'product'::regclass and not granted and database = (select oid from pg_database where datname = current_database())";
  let committed: Promise<void> | undefined;
  const commit = async (): Promise<void> => {
    while ((await observer.query(waited)).rowCount === 0) await breathe();
    await writer.query("commit");
  };
  return {
    commitOnceWaitedFor() {
      committed ??= commit();
    },
    async end() {
      await committed;
      await Promise.all([writer.end(), observer.end()]);
    },
  };
}
