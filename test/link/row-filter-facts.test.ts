import { afterEach, describe, expect, test } from "vitest";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

/** What Postgres' own test of row filters (src/test/subscription/t/028_row_filter.pl) holds true of its logical replication, said of ours. */
const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function pair(ddl: string, tables: TestTable[], options: { rows?: string; child?: "postgres" | "sqlite"; childDdl?: string } = {}) {
  const { rows = "", child = "sqlite" } = options;
  const hub = await postgresNode("hub", `${ddl}; ${rows}`, tables);
  open.push(hub);
  const there = options.childDdl ?? ddl;
  const store =
    child === "postgres" ? await postgresNode("store", there, tables) : await sqliteNode("store", there.replaceAll("public.", ""), tables);
  open.push(store);
  const link = testLink(hub.node, store.node, tables);
  return { hub, store, settle: () => link.settle() };
}

describe.each(["postgres", "sqlite"] as const)("Postgres to %s", (child) => {
  const t = child === "postgres" ? "public.t" : "t";

  test("the copy at the beginning, inserts, updates and deletes keep to the filter; NULL is not true", async () => {
    const ddl = "create table public.t (a integer primary key, b text)";
    const rows = "insert into public.t values (1, 'not replicated'), (1500, 'filtered'), (1980, 'not filtered'), (1001, null)";
    const { hub, store, settle } = await pair(ddl, [{ name: "t", filter: "a > 1000 and b <> 'filtered'" }], { rows, child });
    await settle();
    const all = `select a, b from ${t} order by a`;
    expect(await store.rows(all)).toEqual([["1980", "not filtered"]]);
    await hub.write(
      `insert into public.t values (800, 'test 800'), (1600, 'test 1600'), (1601, 'test 1601'), (1602, 'filtered'), (1700, 'test 1700'), (1603, null);
       update public.t set b = null where a = 1600;
       update public.t set b = 'test 1601 updated' where a = 1601;
       update public.t set b = 'test 1602 updated' where a = 1602;
       delete from public.t where a = 1700`,
    );
    await settle();
    expect(await store.rows(all)).toEqual([
      ["1601", "test 1601 updated"],
      ["1602", "test 1602 updated"],
      ["1980", "not filtered"],
    ]);
  });

  test("an update of the key moves a row in, out, and along", async () => {
    const ddl = "create table public.t (a integer primary key, b text)";
    const rows = "insert into public.t values (1, 'in'), (2, 'out'), (2000, 'along'), (2001, 'stays')";
    const { hub, store, settle } = await pair(ddl, [{ name: "t", filter: "a > 1000" }], { rows, child });
    await settle();
    await hub.write(
      "update public.t set a = 1001 where a = 1; update public.t set a = 3000 where a = 2000; update public.t set a = 3 where a = 2001",
    );
    await settle();
    expect(await store.rows(`select a, b from ${t} order by a`)).toEqual([
      ["1001", "in"],
      ["3000", "along"],
    ]);
  });

  test("a large value that an update does not touch counts as what it is", async () => {
    const ddl = "create table public.t (id integer primary key, a text not null, b text not null)";
    const rows =
      "alter table public.t alter a set storage external; insert into public.t values (1, repeat('1234567890', 2000), '1'), (2, repeat('x', 20000), '1')";
    const tables = [{ name: "t", filter: "a = repeat('1234567890', 2000) and b < '10'" }];
    const { hub, store, settle } = await pair(ddl, tables, { rows, child });
    await settle();
    await hub.write("update public.t set b = '0'");
    await settle();
    expect(await store.rows(`select id, length(a), b from ${t}`)).toEqual([["1", "20000", "0"]]);
    await hub.write("update public.t set b = '5'");
    await settle();
    expect(await store.rows(`select id from ${t}`)).toEqual([]);
    await hub.write("update public.t set b = '00'");
    await settle();
    expect(await store.rows(`select id, length(a), b from ${t}`)).toEqual([["1", "20000", "00"]]);
  });

  test("a partitioned table is filtered as one, wherever its rows are and go", async () => {
    const parts =
      "create table public.t (a integer primary key, b text) partition by range (a); create table public.low partition of public.t for values from (0) to (100); create table public.high partition of public.t for values from (100) to (1000)";
    const rows = "insert into public.t values (1, 'in'), (2, 'not'), (200, 'in'), (201, 'not')";
    const childDdl = "create table public.t (a integer primary key, b text)";
    const { hub, store, settle } = await pair(parts, [{ name: "t", filter: "b = 'in'" }], { rows, child, childDdl });
    await settle();
    const all = `select a from ${t} order by a`;
    expect((await store.rows(all)).flat()).toEqual(["1", "200"]);
    await hub.write(
      "insert into public.low values (3, 'in'), (4, 'not'); update public.high set b = 'in' where a = 201; update public.t set a = 300 where a = 1; update public.low set b = 'not' where a = 3",
    );
    await settle();
    expect((await store.rows(all)).flat()).toEqual(["200", "201", "300"]);
  });

  test("columns of the key alone, expressions and functions serve as filters", async () => {
    const ddl = "create table public.t (a integer primary key, b text)";
    const rows = "insert into public.t select i, 'n' || i from generate_series(1, 20) as i";
    for (const [filter, expected] of [
      ["a % 5 = 0", "5 10 15 20"],
      ["(a between 3 and 5) is not false", "3 4 5"],
      ["length(b) = 3 and upper(b) like 'N1%'", "10 11 12 13 14 15 16 17 18 19"],
      ["false", ""],
    ] as const) {
      const { store, settle } = await pair(ddl, [{ name: "t", filter }], { rows, child });
      await settle();
      expect((await store.rows(`select a from ${t} order by a`)).flat().join(" "), filter).toBe(expected);
    }
  });

  test("tables that refer to each other, with filters that agree; a removal that a foreign key refuses waits", async () => {
    const ddl =
      "create table public.t (id integer primary key, region text); create table public.line (id integer primary key, t int not null references public.t(id), region text, n int)";
    const tables: TestTable[] = [
      { name: "t", filter: "region = 'north'" },
      { name: "line", filter: "region = 'north'" },
    ];
    const rows =
      "insert into public.t values (1, 'north'), (2, 'south'); insert into public.line values (10, 1, 'north', 1), (20, 2, 'south', 2)";
    const { hub, store, settle } = await pair(ddl, tables, { rows, child });
    const line = child === "postgres" ? "public.line" : "line";
    const there = async (): Promise<string> =>
      [...(await store.rows(`select id from ${t} order by id`)), ["/"], ...(await store.rows(`select id from ${line} order by id`))]
        .flat()
        .join(" ");
    await settle();
    expect(await there()).toBe("1 / 10");
    // both go, both come
    await hub.write("update public.t set region = 'south' where id = 1; update public.line set region = 'south' where id = 10");
    await hub.write("update public.line set region = 'north' where id = 20; update public.t set region = 'north' where id = 2");
    await settle();
    expect(await there()).toBe("2 / 20");
    // the child's own line, which the parent has not judged yet, refers to a row that leaves: nothing is lost
    await store.write(`insert into ${line} values (30, 2, 'north', 3)`);
    await hub.write("update public.t set region = 'south' where id = 2; update public.line set region = 'south' where id = 20");
    for (let round = 0; round < 3; round++) await settle();
    expect((await hub.rows("select id from public.line order by id")).flat()).toEqual(["10", "20", "30"]);
  });
});
