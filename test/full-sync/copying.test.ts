import { describe, expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import type { FullSyncWatcher } from "../../replicator/full-sync/options.ts";
import { drift } from "../helpers/drift.ts";
import { agreeing, syncFully } from "../helpers/full-sync.ts";
import { type TestNode, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, historyTable, nodeOf, PAIRS, parkedAt } from "../helpers/pair.ts";
import { addThings } from "../helpers/things.ts";

closeAfterEach();

const many = (node: TestNode, count: number): Promise<void> => addThings(node, { to: count });

/** A connection that is lost once so many rows are there. */
const breaking = (atRows: number): FullSyncWatcher => ({
  ...agreeing,
  progress({ rows }) {
    if (rows >= atRows) throw new TomboloError("the database went away", { code: "POSTGRES_UNREACHABLE", kind: "connect" });
  },
});

/** Tables that are empty are filled without a stage: see fill.test.ts. */
const ONLY_HERE = "insert into product values (5000, 'only here')";

describe.each(PAIRS)("copying from %s to %s", (above, below) => {
  const SCHEMA = both("create table product (id bigint primary key, name text)");
  const TABLES = [{ name: "product" }];
  const ALL = "select id, name from product order by id";
  const open = async () => ({ parent: await nodeOf(above, "hub", SCHEMA, TABLES), child: await nodeOf(below, "store", SCHEMA, TABLES) });

  test("goes on from where it was interrupted, with what has changed meanwhile on either side of that", async () => {
    const { parent, child } = await open();
    await many(parent, 1000);
    await drift(child, ONLY_HERE);
    await expect(syncFully(parent.node, child.node, TABLES, { chunkRows: 100, watcher: breaking(500) })).rejects.toMatchObject({
      kind: "connect",
    });
    expect(await child.rows("select count(*) from product")).toEqual([["1"]]);
    expect((await child.node.copies.runs.list(1))[0]).toMatchObject({ state: "interrupted", rows: 500 });
    await parent.write(
      `update product set name = 'early' where id = 10; update product set name = 'late' where id = 900; delete from product where id in (20, 910);
       insert into product values (0, 'before all'), (2000, 'after all')`,
    );
    // a key that moves from what was copied to what was not, and back
    await parent.write("update product set id = 3000 where id = 30; update product set id = -5 where id = 930");
    const seen: number[] = [];
    const result = await syncFully(parent.node, child.node, TABLES, {
      chunkRows: 100,
      resume: true,
      watcher: { ...agreeing, progress: ({ phase, rows }) => void (phase === "copy" && seen.push(rows)) },
    });
    expect(result).toMatchObject({ state: "done", resumed: true });
    expect(seen[0]).toBeGreaterThanOrEqual(500);
    expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
    expect(await testLink(parent.node, child.node, TABLES).settle()).toMatchObject({ sent: 0, received: 0, conflicts: 0 });
  });

  test("begins anew where nobody asked to go on, and leaves nothing of the attempt before", async () => {
    const { parent, child } = await open();
    await many(parent, 300);
    await drift(child, ONLY_HERE);
    await expect(syncFully(parent.node, child.node, TABLES, { chunkRows: 100, watcher: breaking(200) })).rejects.toThrow();
    expect(await syncFully(parent.node, child.node, TABLES, { chunkRows: 100 })).toMatchObject({ resumed: false, rows: 300 });
    expect((await child.node.copies.runs.list(5)).map(({ state }) => state)).toEqual(["done", "cancelled"]);
    expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
    if (below === "postgres")
      expect(
        await child.rows("select relname from pg_class where relname like 'full_sync_%' and relkind = 'r' and relname ~ '[0-9]$'"),
      ).toEqual([]);
  });

  test("is the same when it is done once more", async () => {
    const { parent, child } = await open();
    await many(parent, 50);
    await syncFully(parent.node, child.node, TABLES);
    const again = await syncFully(parent.node, child.node, TABLES);
    expect(again.receipt?.applied).toMatchObject({ insert: 0, update: 0, delete: 0 });
    expect(await child.rows(`select count(*) from ${historyTable(child)}`)).toEqual([["0"]]);
  });

  test("changes nothing when whoever was asked does not want it", async () => {
    const { parent, child } = await open();
    await many(parent, 5);
    await child.write("insert into product values (77, 'mine')");
    const result = await syncFully(parent.node, child.node, TABLES, { watcher: { ...agreeing, goAhead: async () => false } });
    expect(result).toMatchObject({ state: "cancelled", receipt: null });
    expect(await child.rows(ALL)).toEqual([["77", "mine"]]);
    expect((await child.node.copies.runs.list(1))[0]).toMatchObject({ state: "cancelled" });
  });
});

describe.each(PAIRS)("what stands in the way, from %s to %s:", (above, below) => {
  test("foreign keys in rings and to itself", async () => {
    const schema = both(
      "create table team (id bigint primary key, lead_id bigint); create table person (id bigint primary key, team_id bigint references team, boss_id bigint references person)",
    );
    const tables = [{ name: "team" }, { name: "person" }];
    const parent = await nodeOf(above, "hub", schema, tables);
    const child = await nodeOf(below, "store", schema, tables);
    await parent.write(
      "insert into team values (1, null), (2, null); insert into person values (5, 1, null), (1, 2, 5), (3, 1, 1); update team set lead_id = 3 where id = 1",
    );
    await child.write("insert into team values (9, 9); insert into person values (9, 9, null); update person set boss_id = 9 where id = 9");
    await syncFully(parent.node, child.node, tables);
    const link = testLink(parent.node, child.node, tables);
    await link.settle();
    for (const select of ["select * from team order by id", "select * from person order by id"])
      expect(await child.rows(select)).toEqual(await parent.rows(select));
    expect(await parkedAt(child)).toEqual([]);
  });

  test("values of a unique key that change hands", async () => {
    const schema = both("create table product (id bigint primary key, code text unique)");
    const tables = [{ name: "product" }];
    const parent = await nodeOf(above, "hub", schema, tables);
    const child = await nodeOf(below, "store", schema, tables);
    await parent.write("insert into product values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')");
    await testLink(parent.node, child.node, tables).settle();
    await drift(
      child,
      "delete from product where id = 4; update product set code = 'x' where id = 1; update product set code = 'a' where id = 2; update product set code = 'b' where id = 1; insert into product values (8, 'd')",
    );
    await syncFully(parent.node, child.node, tables);
    expect(await child.rows("select * from product order by id")).toEqual(await parent.rows("select * from product order by id"));
    expect(await parkedAt(child)).toEqual([]);
  });

  test("triggers of the application, which have done what they do at the source already", async () => {
    const schema = {
      postgres: `create table product (id bigint primary key, name text); create table note (id bigint primary key, product_id bigint);
        create function noted() returns trigger language plpgsql as $$ begin insert into public.note values (new.id, new.id); return null; end $$;
        create trigger noted after insert on product for each row execute function noted()`,
      sqlite: `create table product (id integer primary key, name text); create table note (id integer primary key, product_id integer);
        create trigger noted after insert on product begin insert into note values (new.id, new.id); end`,
    };
    const tables = [{ name: "product" }, { name: "note" }];
    const parent = await nodeOf(above, "hub", schema, tables);
    const child = await nodeOf(below, "store", schema, tables);
    await parent.write("insert into product values (1, 'a'), (2, 'b'); delete from note where id = 2");
    await syncFully(parent.node, child.node, tables);
    expect(await child.rows("select id from note")).toEqual([["1"]]);
    await testLink(parent.node, child.node, tables).settle();
    await child.write("insert into product values (3, 'c')");
    expect(await child.rows("select id from note order by id")).toEqual([["1"], ["3"]]);
  });

  test("a filter: the child has its rows, and no others", async () => {
    const schema = both("create table product (id bigint primary key, region text)");
    const tables = [{ name: "product", filter: "region = :region" }];
    const params = { region: "it's" };
    const parent = await nodeOf(above, "hub", schema, tables);
    const child = await nodeOf(below, "store", schema, tables);
    await parent.write("insert into product values (1, 'it''s'), (2, 'other'), (3, 'it''s')");
    await testLink(parent.node, child.node, tables, { params }).settle();
    await drift(child, "delete from product where id = 1; insert into product values (2, 'other')");
    await syncFully(parent.node, child.node, tables, { link: { params } });
    expect(await child.rows("select id from product order by id")).toEqual([["1"], ["3"]]);
  });
});

test("a role that may not act as a replica: the server minds foreign keys, and the order of the tables is theirs", async () => {
  const schema = both(
    "create schema shop; create table shop.team (id bigint primary key); create table shop.person (id bigint primary key, team_id bigint references shop.team)",
  );
  const tables = [{ name: "shop.person" }, { name: "shop.team" }];
  const parent = await nodeOf("postgres", "hub", schema, tables);
  const child = await nodeOf("postgres", "store", schema, tables, { bareRole: true });
  await parent.write("insert into shop.team values (1), (2); insert into shop.person values (7, 1)");
  await testLink(parent.node, child.node, tables).settle();
  await drift(child, "insert into shop.team values (3); insert into shop.person values (8, 3)");
  await drift(child, "delete from shop.team where id = 2; insert into shop.team values (4)");
  await syncFully(parent.node, child.node, tables);
  await testLink(parent.node, child.node, tables).settle();
  for (const table of ["team", "person"])
    expect(await child.rows(`select * from shop.${table} order by id`)).toEqual(
      await parent.rows(`select * from shop.${table} order by id`),
    );
  expect(await parkedAt(child)).toEqual([]);
});
