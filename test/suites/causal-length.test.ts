import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SimplePolicy } from "../../replicator/change/verdict.ts";
import { Family, PAIRS } from "./family.ts";

/*
 * What is known of merging rows that are deleted and come back (a row's "causal length" in cr-sqlite: how often it has come and gone), stated for
 * nodes of which the parent decides. There a longer life wins; here, the policy does, and what loses is in the history.
 */

const POLICIES = ["parent_wins", "child_wins", "newest_wins"] as const satisfies readonly SimplePolicy[];

const SCHEMA = POLICIES.map(
  (policy) => `create table ${policy} (id integer primary key, a text, b text); create table ${policy}_key (id integer primary key);`,
).join("\n");
const TABLES = POLICIES.flatMap((policy) => [
  { name: policy, policy },
  { name: `${policy}_key`, policy },
]);

describe.each(PAIRS)("a %s parent and a %s child", (above, below) => {
  let family: Family;
  let last = 0;
  beforeAll(async () => {
    family = await Family.of(
      [
        { name: "hub", engine: above },
        { name: "store", engine: below, under: "hub" },
      ],
      { schema: SCHEMA, tables: TABLES },
    );
  });
  afterAll(() => family.close());

  /** A row `a = 1, b = 1` that both have; `$` stands for its table and its condition. */
  async function row(policy: string) {
    const id = ++last;
    const say = (sql: string): string =>
      sql
        .replace("update $ set", `update ${policy} set`)
        .replace("delete $", `delete from ${policy}`)
        .replace("insert $", `insert into ${policy}`)
        .replace("row", String(id))
        .replace(/^(update|delete)(.*)$/, `$1$2 where id = ${id}`);
    const at = (name: string, ...statements: string[]) => family.at(name, ...statements.map(say));
    await at("hub", "insert $ values (row, '1', '1')");
    await family.settle();
    await family.news("hub");
    return { at, now: () => family.everywhere(`select a, b from ${policy} where id = ${id}`) };
  }

  const AGAIN = ["delete $", "insert $ values (row, '1', '1')"] as const;
  const ANEW = ["delete $", "insert $ values (row, '2', null)"] as const;

  describe.each(POLICIES)("%s", (policy) => {
    const wins = (parent: string[], child: string[]): string[] => (policy === "parent_wins" ? parent : child);

    test("a life more at the child, edits at the parent", async () => {
      const { at, now } = await row(policy);
      await at("hub", "update $ set a = '3'", "update $ set a = '4'");
      await at("store", ...ANEW);
      await family.settle();
      // b was changed by the new life alone
      expect(await now()).toEqual(wins(["4|-"], ["2|-"]));
      expect(await family.decided("hub")).toEqual([policy === "parent_wins" ? "update_update parent" : "update_update child"]);
    });

    test("a life more at the parent, edits at the child", async () => {
      const { at, now } = await row(policy);
      await at("hub", ...ANEW);
      await at("store", "update $ set a = '3'", "update $ set a = '4'");
      await family.settle();
      expect(await now()).toEqual(wins(["2|-"], ["4|-"]));
      expect(await family.decided("hub")).toEqual([policy === "parent_wins" ? "update_update parent" : "update_update child"]);
    });

    test("the same row again is no change", async () => {
      const { at, now } = await row(policy);
      await at("hub", "update $ set a = '3'");
      await at("store", ...AGAIN);
      await family.settle();
      expect(await now()).toEqual(["3|1"]);
    });

    test("a deletion against a life more: the row that is there is not gone by accident", async () => {
      const first = await row(policy);
      await first.at("hub", "delete $");
      await first.at("store", ...ANEW);
      await family.settle();
      expect(await first.now()).toEqual(wins([], ["2|-"]));
      expect(await family.decided("hub")).toEqual([policy === "parent_wins" ? "delete_update parent" : "delete_update child"]);
      const second = await row(policy);
      await second.at("hub", ...ANEW);
      await second.at("store", "delete $");
      await family.settle();
      expect(await second.now()).toEqual(wins(["2|-"], []));
      expect(await family.decided("hub")).toEqual([policy === "parent_wins" ? "update_delete parent" : "update_delete child"]);
    });

    test("deleted on both sides is deleted, and no conflict", async () => {
      const { at, now } = await row(policy);
      await at("hub", "delete $");
      await at("store", "delete $");
      await family.settle();
      expect(await now()).toEqual([]);
      expect(await family.decided("hub")).toEqual([]);
    });

    test("new lives on both sides are two rows of one key", async () => {
      const { at, now } = await row(policy);
      await at("hub", "delete $", "insert $ values (row, 'hub', '1')");
      await at("store", "delete $", "insert $ values (row, 'store', '1')");
      await family.settle();
      expect(await now()).toEqual(wins(["hub|1"], ["store|1"]));
      const [conflict] = await family.news("hub");
      expect(conflict?.images).toContain(policy === "parent_wins" ? "store" : "hub");
    });

    test("what comes back after a deletion that all have seen is new, from whichever side", async () => {
      const { at, now } = await row(policy);
      await at("hub", "delete $");
      await family.settle();
      await at("store", "insert $ values (row, 'back', null)");
      await family.settle();
      expect(await now()).toEqual(["back|-"]);
      await at("store", "delete $");
      await family.settle();
      await at("hub", "insert $ values (row, 'again', null)");
      await at("hub", "update $ set b = 'edited'");
      await family.settle();
      expect(await now()).toEqual(["again|edited"]);
      expect(await family.decided("hub")).toEqual([]);
    });

    test("a row that is nothing but its key comes, goes and comes back", async () => {
      const id = ++last;
      const [come, go] = [`insert into ${policy}_key values (${id})`, `delete from ${policy}_key where id = ${id}`];
      const there = async () => (await family.everywhere(`select id from ${policy}_key where id = ${id}`)).length > 0;
      await family.at("store", come);
      await family.settle();
      expect(await there()).toBe(true);
      await family.at("store", go);
      await family.at("hub", go);
      await family.settle();
      expect(await there()).toBe(false);
      await family.at("hub", come);
      await family.at("store", come);
      await family.settle();
      expect(await there()).toBe(true);
      // gone and back is the same row, of which nothing was edited that a deletion could lose
      await family.at("store", go, come);
      await family.at("hub", go);
      await family.settle();
      expect(await there()).toBe(false);
      expect(await family.decided("hub")).toEqual([]);
    });
  });
});

describe("through a node in the middle", () => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.of(
      [
        { name: "hub", engine: "postgres" },
        { name: "middle", engine: "postgres", under: "hub" },
        { name: "a", engine: "sqlite", under: "middle" },
        { name: "b", engine: "sqlite", under: "hub" },
      ],
      { schema: SCHEMA, tables: TABLES },
    );
  });
  afterAll(() => family.close());

  test("a node that has missed the row's return and hears of later edits has all of it in the end", async () => {
    await family.at("a", "insert into newest_wins values (1, 'a', 'b')");
    await family.settle();
    await family.at("a", "delete from newest_wins where id = 1");
    await family.settle();
    await family.at("a", "insert into newest_wins values (1, 'a1', 'b1')", "update newest_wins set a = 'a2' where id = 1");
    await family.at("b", "insert into newest_wins values (2, 'other', null)");
    await family.settle();
    expect(await family.everywhere("select * from newest_wins order by id")).toEqual(["1|a2|b1", "2|other|-"]);
  });

  test("many lives at both ends, each end synced while the other is not, come to one row", async () => {
    for (let life = 0; life < 6; life++) {
      await family.at("a", "delete from child_wins where id = 1", `insert into child_wins values (1, 'a${life}', 'a')`);
      await family.at("b", "delete from child_wins where id = 1", `insert into child_wins values (1, 'b${life}', 'b')`);
      if (life % 2 === 1) await family.settle();
    }
    expect(await family.everywhere("select count(*) from child_wins")).toEqual(["1"]);
    const recorded = [...(await family.news("hub")), ...(await family.news("middle"))].map(({ images }) => images).join();
    const [row] = await family.everywhere("select a from child_wins");
    for (const last of ["a5", "b5"]) expect(row === last || recorded.includes(last)).toBe(true);
  });
});
