import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Family, type Member } from "./family.ts";

/*
 * A conflict test of three databases that all write, of which the latest wins (as Bucardo tests its own: two that insert the same key, all three
 * that change the same row, one that was not changed), in each shape that three databases can have here.
 */

const SCHEMA = "create table item (id integer primary key, name text, note text)";
const TABLES = [{ name: "item", policy: "newest_wins" as const }];

const SHAPES: { readonly [shape: string]: readonly Member[] } = {
  "a Postgres over a Postgres and a SQLite": [
    { name: "a", engine: "postgres" },
    { name: "b", engine: "postgres", under: "a" },
    { name: "c", engine: "sqlite", under: "a" },
  ],
  "a Postgres over a Postgres over a SQLite": [
    { name: "a", engine: "postgres" },
    { name: "b", engine: "postgres", under: "a" },
    { name: "c", engine: "sqlite", under: "b" },
  ],
  "a SQLite over two SQLite": [
    { name: "a", engine: "sqlite" },
    { name: "b", engine: "sqlite", under: "a" },
    { name: "c", engine: "sqlite", under: "a" },
  ],
};

const NAMES = ["a", "b", "c"] as const;
type Name = (typeof NAMES)[number];
const PAIRS = NAMES.flatMap((first) => NAMES.filter((name) => name !== first).map((second): [Name, Name] => [first, second]));
const TRIPLES = PAIRS.map(([first, second]): [Name, Name, Name] => [first, second, NAMES.find((n) => n !== first && n !== second) as Name]);

describe.each(Object.entries(SHAPES))("%s", (_, members) => {
  let family: Family;
  let last = 0;
  beforeAll(async () => {
    family = await Family.of(members, { schema: SCHEMA, tables: TABLES });
  });
  afterAll(() => family.close());

  /** A row that all have. */
  async function row(): Promise<number> {
    const id = ++last;
    await family.at("a", `insert into item values (${id}, 'name', 'note')`);
    await family.settle();
    return id;
  }
  const now = (id: number) => family.everywhere(`select name, note from item where id = ${id}`);
  /** What lost is in the history of one of those who decide. */
  async function recorded(...values: string[]): Promise<void> {
    const all = (await Promise.all(NAMES.map((name) => family.news(name)))).flat();
    const images = all.map(({ images: own }) => own).join();
    for (const value of values) expect(images).toContain(value);
  }

  test.each(PAIRS)("%s writes, then %s: the later one's is everywhere", async (first, second) => {
    const id = await row();
    await family.at(first, `update item set name = 'first-${id}' where id = ${id}`);
    await family.at(second, `update item set name = 'second-${id}' where id = ${id}`);
    await family.settle();
    expect(await now(id)).toEqual([`second-${id}|note`]);
    await recorded(`first-${id}`);
  });

  test.each(TRIPLES)("%s, then %s, then %s insert the same key: the last one's row is everywhere", async (...order) => {
    const id = ++last;
    for (const name of order) await family.at(name, `insert into item values (${id}, '${name}-${id}', null)`);
    await family.settle();
    expect(await now(id)).toEqual([`${order[2]}-${id}|-`]);
    await recorded(`${order[0]}-${id}`, `${order[1]}-${id}`);
  });

  test.each(TRIPLES)("%s, then %s, then %s change the same row: the last one's is everywhere", async (...order) => {
    const id = await row();
    for (const name of order) await family.at(name, `update item set name = '${name}-${id}' where id = ${id}`);
    await family.settle();
    expect(await now(id)).toEqual([`${order[2]}-${id}|note`]);
    await recorded(`${order[0]}-${id}`, `${order[1]}-${id}`);
  });

  test.each(PAIRS)("%s deletes, then %s changes: the row stays, whole; and the other way round it goes", async (first, second) => {
    const id = await row();
    await family.at(first, `delete from item where id = ${id}`);
    await family.at(second, `update item set name = 'stays' where id = ${id}`);
    await family.settle();
    expect(await now(id)).toEqual(["stays|note"]);
    await family.at(first, `update item set name = 'goes-${id}' where id = ${id}`);
    await family.at(second, `delete from item where id = ${id}`);
    await family.settle();
    expect(await now(id)).toEqual([]);
    await recorded(`goes-${id}`);
  });

  test("two change different columns, and the third, before them, both: each column is its latest", async () => {
    for (const [first, second, third] of TRIPLES) {
      const id = await row();
      await family.at(third, `update item set name = 'third-${id}', note = 'third-${id}' where id = ${id}`);
      await family.at(first, `update item set name = 'first' where id = ${id}`);
      await family.at(second, `update item set note = 'second' where id = ${id}`);
      await family.settle();
      expect(await now(id)).toEqual(["first|second"]);
      await recorded(`third-${id}`);
    }
  });

  test("changes of the very same moment are decided by the nodes' names, wherever they meet", async () => {
    for (const [first, second] of PAIRS) {
      const id = await row();
      await family.at(first, `update item set name = '${first}' where id = ${id}`);
      await family.at(second, `update item set name = '${second}' where id = ${id}`);
      const moment = new Date(Date.now() - 60_000).toISOString();
      for (const name of [first, second]) await changedAt(name, moment);
      await family.settle();
      const [winner] = [first, second].sort().reverse();
      expect(await now(id)).toEqual([`${winner}|note`]);
    }
  });

  /** As if the node's newest change had been made at the moment. */
  async function changedAt(name: string, moment: string): Promise<void> {
    const { node } = family.node(name);
    await family.at(
      name,
      node.engine === "postgres"
        ? `update tombolo.change set changed_at = '${moment}' where seq = (select max(seq) from tombolo.change)`
        : `update tombolo_change set changed_at = '${moment}' where seq = (select max(seq) from tombolo_change)`,
    );
  }
});
