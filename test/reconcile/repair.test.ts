import pg from "pg";
import { describe, expect, test, vi } from "vitest";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, type Engine, nodeOf, type Pair, pairOf } from "../helpers/pair.ts";
import { reconciled, summary } from "../helpers/reconcile.ts";

closeAfterEach();

const PAIRS: readonly [Engine, Engine][] = [
  ["postgres", "postgres"],
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["sqlite", "postgres"],
];
const SCHEMA = both("create table item (id bigint primary key, name text, qty integer)");
const TABLES: readonly TestTable[] = [{ name: "item" }];
const item = (engine: Engine): string => (engine === "postgres" ? "public.item" : "item");
const all = (engine: Engine): string => `select id, name, qty from ${item(engine)} order by id`;

describe.each(PAIRS)("%s above %s", (above, below) => {
  const fresh = async (tables = TABLES): Promise<Pair> => {
    const pair = await pairOf([above, below], SCHEMA, tables);
    await pair.parent.write(`insert into ${item(above)} values (1, 'one', 1), (2, 'two', 2), (3, 'three', 3), (4, 'four', 4)`);
    await pair.settle();
    return pair;
  };
  const same = async (pair: Pair): Promise<(string | null)[][]> => {
    const rows = await pair.parent.rows(all(above));
    expect(await pair.child.rows(all(below))).toEqual(rows);
    return rows;
  };

  test("the child's rows become the parent's: changed, missing and surplus ones; what it loses is in the history", async () => {
    const pair = await fresh();
    await drift(
      pair.child,
      `update ${item(below)} set name = 'drifted' where id = 1; delete from ${item(below)} where id = 2; insert into ${item(below)} values (9, 'surplus', 9)`,
    );
    const before = await pair.history("id");
    expect(summary(await reconciled(pair))).toEqual(["drift", "item: 4 compared, 3 differ, 0 repaired"]);
    expect(await pair.history("id")).toEqual(before);
    expect(summary(await reconciled(pair, { repair: "parent", name: "nightly" }))).toEqual([
      "repaired",
      "item: 4 compared, 3 differ, 3 repaired",
    ]);
    expect((await same(pair)).map(([, name]) => name)).toEqual(["one", "two", "three", "four"]);
    const history = await pair.history("kind, policy, resolution, status, resolved_by, child_node, parent_row, child_row");
    expect(history.map((row) => row.slice(0, 6)).sort()).toEqual([
      ["delete_update", "reconcile", "parent", "resolved", "reconcile nightly", "store"],
      ["update_update", "reconcile", "parent", "resolved", "reconcile nightly", "store"],
    ]);
    const rows = history.map(([, , , , , , parentRow, childRow]) => [parentRow && JSON.parse(parentRow).name, JSON.parse(childRow!).name]);
    expect(rows.sort()).toEqual(
      [
        ["one", "drifted"],
        [null, "surplus"],
      ].sort(),
    );
    // and it is quiet: nobody sends anything back
    expect(await pair.settle()).toMatchObject({ sent: 0, received: 0 });
    expect(summary(await reconciled(pair))).toEqual(["clean", "item: 4 compared, 0 differ, 0 repaired"]);
  });

  test("a row that is written while it is being repaired keeps what was written", async () => {
    const pair = await fresh();
    await drift(pair.child, `update ${item(below)} set name = 'drifted' where id in (1, 2)`);
    const report = await reconciled(pair, {
      repair: "parent",
      // the refreshes are in the log, and have not been applied
      carry: async () => {
        await pair.child.write(`update ${item(below)} set qty = 100 where id = 1`);
        await pair.parent.write(`update ${item(above)} set name = 'TWO' where id = 2`);
        await pair.settle();
      },
    });
    expect(report.outcome).toBe("repaired");
    const rows = await same(pair);
    expect(rows[0]?.[2]).toBe("100");
    expect(rows[1]?.[1]).toBe("TWO");
  });

  test("`newest` keeps the version that was changed later, as far as both logs tell", async () => {
    const pair = await fresh([{ name: "item", policy: "newest_wins" }]);
    // both logs know rows 1 and 2; what happened to them afterwards went unseen
    await pair.parent.write(`update ${item(above)} set qty = 10 where id = 1`);
    await pair.settle();
    await pair.child.write(`update ${item(below)} set qty = 20 where id = 2; insert into ${item(below)} values (7, 'mine', 7)`);
    await pair.settle();
    await drift(pair.parent, `update ${item(above)} set name = 'older' where id = 3; delete from ${item(above)} where id = 7`);
    await drift(pair.child, `update ${item(below)} set name = 'unseen' where id = 1`);
    expect(summary(await reconciled(pair, { repair: "newest" }))).toEqual(["repaired", "item: 5 compared, 3 differ, 3 repaired"]);
    const rows = await same(pair);
    // nothing was lost that only one side had, and knew the time of
    expect(rows.map(([id]) => id)).toEqual(["1", "2", "3", "4", "7"]);
    expect(await pair.settle()).toMatchObject({ sent: 0, received: 0 });
  });

  test.each([
    ["after a while is waited for", 5_000, "repaired", "item: 4 compared, 2 differ, 2 repaired"],
    ["too late for that is told as under way", 60_000, "drift", "item: 4 compared, 2 differ, 0 repaired, 2 under way"],
  ])("a repair that another process carries over %s", async (_, afterMs, outcome, line) => {
    const pair = await fresh();
    await drift(pair.child, `update ${item(below)} set name = 'drifted' where id in (1, 2)`);
    let waitedMs = 0;
    let isSent = false;
    const report = await reconciled(pair, {
      repair: "parent",
      // before the comparison, and once the repairs are in the log
      carry: async () => {
        isSent = waitedMs > 0;
      },
      sleep: async (ms) => {
        waitedMs += ms;
        if (isSent && waitedMs >= afterMs) await pair.settle();
      },
    });
    expect(summary(report)).toEqual([outcome, line]);
    await pair.settle();
    await same(pair);
  });

  test("repairs that nobody carries over are waited for once, however many there are", async () => {
    const pair = await fresh();
    await pair.parent.write(`insert into ${item(above)} ${numbers(above, 100, 399)}`);
    await pair.settle();
    await drift(pair.child, `update ${item(below)} set name = 'drifted'`);
    let waitedMs = 0;
    const sleep = async (ms: number): Promise<void> => {
      waitedMs += ms;
    };
    const report = await reconciled(pair, { repair: "parent", carry: async () => {}, sleep });
    expect(summary(report)).toEqual(["drift", "item: 304 compared, 304 differ, 0 repaired, 304 under way"]);
    // eleven seconds for the first of them, two for each further lot
    expect(waitedMs).toBeLessThan(20_000);
  });

  test("more deletions than the guard lets through stop the repair of that table and ask", async () => {
    const pair = await fresh();
    await drift(pair.child, `insert into ${item(below)} ${numbers(below, 100, 120)}`);
    const stopped = await reconciled(pair, { repair: "parent" });
    expect(summary(stopped)).toEqual(["stopped", "item: 25 compared, 21 differ, 0 repaired, RECONCILE_DELETES"]);
    expect(await pair.child.rows(`select count(*) from ${item(below)}`)).toEqual([["25"]]);
    const asked = await reconciled(pair, { repair: "parent", guard: { maxRows: null, maxPercent: 0 } });
    expect(summary(asked)).toEqual(["repaired", "item: 25 compared, 21 differ, 21 repaired"]);
    await same(pair);
    expect(await pair.history("kind")).toHaveLength(21);
  });

  test("every run is on record at the parent, with counts and some keys", async () => {
    const pair = await fresh();
    await drift(pair.child, `update ${item(below)} set name = 'drifted' where id = 3`);
    await reconciled(pair);
    await reconciled(pair, { repair: "parent", name: "nightly" });
    const runs = await pair.parent.node.reconciles.runs({ limit: 10 });
    expect(runs.map(({ name, peer, repair, state, error }) => [name, peer, repair, state, error])).toEqual([
      ["nightly", "store", "parent", "repaired", null],
      ["manual", "store", "report", "drift", null],
    ]);
    expect(runs[0]?.tables).toEqual([
      {
        table: "item",
        compared: 4,
        differing: 1,
        repaired: 1,
        unsettled: 0,
        parked: 0,
        examples: ['["3"]'],
        scope: "all",
        whole: null,
        error: null,
      },
    ]);
    expect(runs.every(({ startedAt, finishedAt }) => Date.parse(startedAt) <= Date.parse(finishedAt!))).toBe(true);
    const table = above === "postgres" ? "tombolo.reconcile_run" : "tombolo_reconcile_run";
    expect(await pair.parent.rows(`select compared, differing, repaired from ${table} order by id`)).toEqual([
      ["4", "1", "0"],
      ["4", "1", "1"],
    ]);
  });
});

const numbers = (engine: Engine, from: number, to: number): string =>
  engine === "postgres"
    ? `select g, 'surplus', 0 from generate_series(${from}, ${to}) g`
    : `with recursive s(g) as (select ${from} union all select g + 1 from s where g < ${to}) select g, 'surplus', 0 from s`;

test.each(PAIRS)(
  "%s above %s: what only travels up is mended from the child, and other children's rows are left alone",
  async (above, below) => {
    const parent = await nodeOf(above, "hub", SCHEMA, TABLES);
    const child = await nodeOf(below, "store", SCHEMA, TABLES);
    const link = testLink(parent.node, child.node, TABLES, { direction: "up" });
    await child.write(`insert into ${item(below)} values (1, 'one', 1), (2, 'two', 2)`);
    await link.settle();
    await parent.write(`insert into ${item(above)} values (50, 'of another store', 1)`);
    await drift(parent, `update ${item(above)} set name = 'drifted' where id = 1; delete from ${item(above)} where id = 2`);
    expect(summary(await reconciled({ link }, { repair: "parent" }))).toEqual(["repaired", "item: 2 compared, 2 differ, 2 repaired"]);
    expect(await parent.rows(all(above))).toEqual([
      ["1", "one", "1"],
      ["2", "two", "2"],
      ["50", "of another store", "1"],
    ]);
  },
);

test("rows that a child is not given are no differences, and it is given none of them by a repair", async () => {
  const tables: TestTable[] = [{ name: "item", filter: "qty < :most" }];
  const parent = await nodeOf("postgres", "hub", SCHEMA, tables);
  const child = await nodeOf("sqlite", "store", SCHEMA, tables);
  const link = testLink(parent.node, child.node, tables, { params: { most: "10" } });
  await parent.write("insert into public.item values (1, 'one', 1), (2, 'two', 2), (3, 'much', 300)");
  await link.settle();
  expect(summary(await reconciled({ link }))).toEqual(["clean", "item: 2 compared, 0 differ, 0 repaired"]);
  await drift(child, "update item set name = 'drifted' where id = 1; insert into item values (3, 'smuggled', 300)");
  expect(summary(await reconciled({ link }, { repair: "parent" }))).toEqual(["repaired", "item: 3 compared, 2 differ, 2 repaired"]);
  expect((await child.rows("select id, name from item order by id")).join()).toBe("1,one,2,two");
});

test("columns that stay at home are neither compared nor touched", async () => {
  const tables: TestTable[] = [{ name: "item", exclude: ["name"] }];
  const pair = await pairOf(["postgres", "sqlite"], SCHEMA, tables);
  await pair.parent.write("insert into public.item values (1, 'at the hub', 1), (2, 'at the hub', 2)");
  await pair.settle();
  await pair.child.write("update item set name = 'at the store'");
  expect(summary(await reconciled(pair))).toEqual(["clean", "item: 2 compared, 0 differ, 0 repaired"]);
  await drift(pair.child, "update item set qty = 5 where id = 1");
  expect(summary(await reconciled(pair, { repair: "parent" }))).toEqual(["repaired", "item: 2 compared, 1 differ, 1 repaired"]);
  expect(await pair.child.rows("select name, qty from item order by id")).toEqual([
    ["at the store", "1"],
    ["at the store", "2"],
  ]);
});

test("values that have no form at the parent differ, and give way; of a row whose very key has none nothing is made", async () => {
  const pair = await pairOf(
    ["postgres", "sqlite"],
    {
      postgres: "create table public.item (id bigint primary key, qty integer); create table public.code (id uuid primary key, n integer)",
      sqlite: "create table item (id integer primary key, qty); create table code (id text not null primary key, n integer)",
    },
    [{ name: "item" }, { name: "code" }],
  );
  const uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  await pair.parent.write(`insert into public.item values (1, 1), (2, 2); insert into public.code values ('${uuid}', 1)`);
  await pair.settle();
  await drift(
    pair.child,
    `update item set qty = 'many' || char(0) where id = 1; update item set qty = x'00ff' where id = 2;
     insert into code values ('no uuid', 2), (cast(x'ff41' as text), 3)`,
  );
  const report = await reconciled(pair, { repair: "parent" });
  expect(summary(report)).toEqual(["drift", "item: 2 compared, 2 differ, 2 repaired", "code: 3 compared, 2 differ, 0 repaired"]);
  expect(await pair.child.rows("select id, qty from item order by id")).toEqual([
    ["1", "1"],
    ["2", "2"],
  ]);
  expect(await pair.child.rows("select count(*) from code")).toEqual([["3"]]);
  const rows = (await pair.history("child_row")).map(([row]) => JSON.parse(row!).qty);
  expect(rows).toEqual(expect.arrayContaining(["many\\u0000", { b: "00ff" }]));
});

test("a value that only looks different is repaired by nobody, and texts that are not UTF-8 are told apart to the byte", async () => {
  const schema = both("create table item (id bigint primary key, name text)");
  const pair = await pairOf(["sqlite", "sqlite"], schema, [{ name: "item" }]);
  await drift(pair.parent, "insert into item values (1, cast(x'ff' as text)), (2, cast(x'fe' as text)), (3, 'a' || char(0) || 'b')");
  await drift(pair.child, "insert into item values (1, cast(x'ff' as text)), (2, cast(x'ff' as text)), (3, 'a' || char(0) || 'c')");
  expect(summary(await reconciled(pair))).toEqual(["drift", "item: 3 compared, 2 differ, 0 repaired"]);
});

test("Postgres: a repair waits for an application that writes the table, and goes on once it has ended", async () => {
  const pair = await pairOf(["postgres", "postgres"], SCHEMA, TABLES);
  await pair.parent.write("insert into public.item values (1, 'one', 1)");
  await pair.settle();
  await drift(pair.child, "insert into public.item values (9, 'surplus', 9)");
  const application = new pg.Client({ connectionString: (pair.parent as TestNode & { database: { url: string } }).database.url });
  await application.connect();
  try {
    await application.query("begin; insert into public.item values (2, 'two', 2)");
    const overrule = vi.spyOn(pair.parent.node.repairs, "overrule");
    const report = reconciled(pair, { repair: "parent" });
    report.catch(() => undefined);
    await until("the repair was kept out once", () => overrule.mock.settledResults.some(({ type }) => type === "rejected"));
    await application.query("commit");
    expect((await report).outcome).toBe("repaired");
  } finally {
    await application.end();
  }
  await pair.settle();
  expect(await pair.child.rows("select id from public.item order by id")).toEqual([["1"], ["2"]]);
});
