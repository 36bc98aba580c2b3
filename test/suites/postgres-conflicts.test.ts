import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Family, PAIRS } from "./family.ts";

/*
 * The kinds of conflict that Postgres' own subscriptions know (its test 035_conflicts, and the missing rows of 013_partition), each with what
 * becomes of it here. There an insert that exists and a violated unique key stop the subscription until someone acts, and an update or deletion of
 * a row that another origin has changed is applied; here nothing stops, and the history or the parked changes say what happened.
 */

const CONFLICTS = "create table conflicts (a integer primary key, b integer unique, c integer unique, note text);";
const WHOLE = "create table whole (a integer primary key, b integer, c integer, unique (a, b));";
const IN_PARTS = `create table whole (a integer primary key, b integer, c integer, unique (a, b)) partition by range (a);
  create table whole_low partition of whole for values from (minvalue) to (10000);
  create table whole_high partition of whole for values from (10000) to (maxvalue);`;
const TABLES = [{ name: "conflicts" }, { name: "whole" }];

describe.each(PAIRS)("a %s parent and a %s child", (above, below) => {
  let family: Family;
  let last = 0;
  beforeAll(async () => {
    family = await Family.of(
      [
        { name: "a", engine: above, ...(above === "postgres" && { schema: CONFLICTS + IN_PARTS }) },
        { name: "b", engine: below, under: "a", ...(below === "postgres" && { schema: CONFLICTS + IN_PARTS }) },
      ],
      { schema: CONFLICTS + WHOLE, tables: TABLES },
    );
  });
  afterAll(() => family.close());

  /** Rows `n, n + 1, …` of which `b` and `c` are as the key, at both nodes. */
  async function rows(count: number): Promise<number> {
    last += 100;
    const values = Array.from({ length: count }, (_, at) => `(${last + at}, ${last + at}, ${last + at}, 'both')`);
    if (count > 0) await family.at("a", `insert into conflicts values ${values.join(", ")}`);
    await family.settle();
    await family.news("a");
    return last;
  }
  const there = (n: number) => `select a, b, c, note from conflicts where a >= ${n} and a < ${n + 100} order by a`;
  const waiting = async (name: string) => {
    const all = [];
    for (let n = last; n < last + 100; n += 10) all.push(...(await family.waiting(name, n)));
    return all;
  };
  /** Whatever has happened to the rows before, others travel. */
  async function flows(): Promise<void> {
    const n = last + 90;
    await family.at("a", `insert into conflicts values (${n}, ${n}, ${n}, 'down')`);
    await family.at("b", `insert into conflicts values (${n + 1}, ${n + 1}, ${n + 1}, 'up')`);
    await family.settle();
    expect(await family.everywhere(`select note from conflicts where a in (${n}, ${n + 1}) order by a`)).toEqual(["down", "up"]);
  }

  test("insert_exists: the policy decides between the two rows, and the history has both", async () => {
    const n = await rows(0);
    await family.at("a", `insert into conflicts values (${n}, ${n}, ${n}, 'from a')`);
    await family.at("b", `insert into conflicts values (${n}, ${n + 5}, ${n + 5}, 'from b')`);
    await family.settle();
    expect(await family.everywhere(there(n))).toEqual([`${n}|${n}|${n}|from a`]);
    const [conflict] = await family.news("a");
    expect(conflict).toMatchObject({ kind: "insert_insert", resolution: "parent" });
    for (const image of ["from a", "from b"]) expect(conflict?.images).toContain(image);
    await flows();
  });

  test("update_origin_differs: edits of different columns both apply, of the same column the policy picks one", async () => {
    const n = await rows(1);
    await family.at("a", `update conflicts set b = ${n + 1} where a = ${n}`);
    await family.at("b", `update conflicts set c = ${n + 2} where a = ${n}`);
    await family.settle();
    expect(await family.everywhere(there(n))).toEqual([`${n}|${n + 1}|${n + 2}|both`]);
    expect(await family.decided("a")).toEqual([]);
    await family.at("a", `update conflicts set note = 'from a' where a = ${n}`);
    await family.at("b", `update conflicts set note = 'from b' where a = ${n}`);
    await family.settle();
    expect(await family.everywhere(there(n))).toEqual([`${n}|${n + 1}|${n + 2}|from a`]);
    expect(await family.decided("a")).toEqual(["update_update parent"]);
    await flows();
  });

  test("update_exists: an update to a value that another row has got waits, and neither row is lost", async () => {
    const n = await rows(2);
    await family.at("a", `update conflicts set b = ${n + 9} where a = ${n}`);
    await family.at("b", `update conflicts set b = ${n + 9}, note = 'from b' where a = ${n + 1}`);
    await family.settle();
    expect(await waiting("a")).toEqual(["conflicts U"]);
    expect(await family.rows("a", there(n))).toEqual([`${n}|${n + 9}|${n}|both`, `${n + 1}|${n + 1}|${n + 1}|both`]);
    await flows();
  });

  test("update_missing, update_deleted: nothing comes back by itself, and the history has what was written", async () => {
    const n = await rows(1);
    await family.at("a", `delete from conflicts where a = ${n}`);
    await family.at("b", `update conflicts set note = 'late' where a = ${n}`);
    await family.settle();
    expect(await family.everywhere(there(n))).toEqual([]);
    const [conflict] = await family.news("a");
    expect(conflict).toMatchObject({ kind: "delete_update", resolution: "parent" });
    expect(conflict?.images).toContain("late");
    await flows();
  });

  test("delete_origin_differs: a row that was changed meanwhile is not deleted, and comes back to the one who deleted it", async () => {
    const n = await rows(1);
    await family.at("a", `update conflicts set note = 'from a' where a = ${n}`);
    await family.at("b", `delete from conflicts where a = ${n}`);
    await family.settle();
    expect(await family.everywhere(there(n))).toEqual([`${n}|${n}|${n}|from a`]);
    expect(await family.decided("a")).toEqual(["update_delete parent"]);
    await flows();
  });

  test("delete_missing: nothing, and no conflict", async () => {
    const n = await rows(1);
    for (const name of ["a", "b"]) await family.at(name, `delete from conflicts where a = ${n}`);
    await family.settle();
    expect(await family.everywhere(there(n))).toEqual([]);
    expect(await family.decided("a")).toEqual([]);
    await flows();
  });

  test("multiple_unique_conflicts, by an insert: one row is in the way of each of its columns, and none of them goes", async () => {
    const n = await rows(0);
    await family.at("a", `insert into conflicts values (${n + 3}, ${n + 3}, ${n + 3}, 'x'), (${n + 4}, ${n + 4}, ${n + 4}, 'y')`);
    await family.at("b", `insert into conflicts values (${n + 2}, ${n + 3}, ${n + 4}, 'from b')`);
    await family.settle();
    expect(await waiting("a")).toEqual(["conflicts I"]);
    expect(await waiting("b")).toEqual(["conflicts I", "conflicts I"]);
    expect(await family.rows("a", there(n))).toEqual([`${n + 3}|${n + 3}|${n + 3}|x`, `${n + 4}|${n + 4}|${n + 4}|y`]);
    await flows();
  });

  test("multiple_unique_conflicts, by an update of the key and all columns: the old row's deletion does not wait for it", async () => {
    const n = await rows(1);
    await family.at("a", `insert into conflicts values (${n + 7}, ${n + 7}, ${n + 7}, 'x'), (${n + 8}, ${n + 8}, ${n + 8}, 'y')`);
    await family.at("b", `update conflicts set a = ${n + 6}, b = ${n + 7}, c = ${n + 8}, note = 'from b' where a = ${n}`);
    await family.settle();
    expect(await waiting("a")).toEqual(["conflicts I"]);
    expect(await family.rows("a", there(n))).toEqual([`${n + 7}|${n + 7}|${n + 7}|x`, `${n + 8}|${n + 8}|${n + 8}|y`]);
    await flows();
  });

  test("multiple_unique_conflicts, in a partition: the same row on both sides is no conflict, another is one of the whole table", async () => {
    const n = await rows(0);
    for (const name of ["a", "b"]) await family.at(name, `insert into whole values (${n}, 2, 3)`);
    await family.settle();
    expect(await family.everywhere(`select * from whole where a = ${n}`)).toEqual([`${n}|2|3`]);
    expect(await family.decided("a")).toEqual([]);
    await family.at("a", `insert into whole values (${n + 1}, 2, 3)`);
    await family.at("b", `insert into whole values (${n + 1}, 2, 4)`);
    await family.settle();
    expect(await family.everywhere(`select * from whole where a = ${n + 1}`)).toEqual([`${n + 1}|2|3`]);
    expect(await family.decided("a")).toEqual(["insert_insert parent"]);
  });

  test("a row that moves to another partition while the other side changes it is deleted there and inserted here", async () => {
    const n = await rows(0);
    await family.at("b", `insert into whole values (${n + 1}, 1, 1)`);
    await family.settle();
    await family.at("b", `update whole set a = a + 10000 where a = ${n + 1}`);
    await family.at("a", `update whole set c = 5 where a = ${n + 1}`);
    await family.settle();
    expect(await family.everywhere(`select a - ${n}, b, c from whole where a in (${n + 1}, ${n + 10001}) order by a`)).toEqual([
      "1|1|5",
      "10001|1|1",
    ]);
    expect(await family.decided("a")).toEqual(["update_delete parent"]);
    await family.at("a", `delete from whole where a in (${n + 1}, ${n + 10001})`);
    await family.at("b", `update whole set c = 9 where a = ${n + 10001}`);
    await family.settle();
    expect(await family.everywhere(`select * from whole where a in (${n + 1}, ${n + 10001})`)).toEqual([]);
  });
});
