import { afterEach, describe, expect, test } from "vitest";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

type Engine = "postgres" | "sqlite";

const TABLES: TestTable[] = [{ name: "item", filter: "region = :region" }];
const DDL = {
  postgres: "create table public.item (id bigint primary key, region text, note text, slot int unique)",
  sqlite: "create table item (id integer primary key, region text, note text, slot int unique)",
};
const ROWS = "select id, region, note from item order by id";
const NORTH = { params: { region: "north" } };
const SOUTH = { params: { region: "south" } };

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function node(engine: Engine, name: string, tables = TABLES, ddl = DDL): Promise<TestNode> {
  const made = engine === "postgres" ? await postgresNode(name, ddl.postgres, tables) : await sqliteNode(name, ddl.sqlite, tables);
  open.push(made);
  const own = (sql: string): string => (engine === "postgres" ? sql.replace(/\b(into|from|update) item\b/g, "$1 public.item") : sql);
  return { ...made, write: (sql) => made.write(own(sql)), rows: (sql) => made.rows(own(sql)) };
}

const history = (hub: TestNode, engine: Engine): Promise<(string | null)[][]> =>
  hub.rows(
    `select kind, resolution, status, child_node, parent_row, child_row, result_row, reason
       from ${engine === "postgres" ? "tombolo." : "tombolo_"}conflict_history order by id`,
  );
const json = (text: string | null | undefined): unknown => (text == null ? null : JSON.parse(text));

const PAIRS: readonly (readonly [Engine, Engine])[] = [
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
];

describe.each(PAIRS)("a %s parent and %s children", (above, below) => {
  const family = async (tables = TABLES) => {
    const hub = await node(above, "hub", tables);
    const north = await node(below, "north", tables);
    const south = await node(below, "south", tables);
    const links = [testLink(hub.node, north.node, tables, NORTH), testLink(hub.node, south.node, tables, SOUTH)];
    const settle = async (): Promise<void> => {
      for (let round = 0; round < 8; round++) {
        let moved = 0;
        for (const link of links) {
          const { sent, received, parked } = await link.settle();
          moved += sent + received + parked;
        }
        if (moved === 0) return;
      }
      throw new Error("the nodes never come to rest");
    };
    return { hub, north, south, links, settle };
  };
  const ids = async (one: TestNode): Promise<string> => (await one.rows("select id from item order by id")).flat().join(" ");

  test("a child is filled with its rows; a row that enters comes whole, one that leaves goes, and neither is told to the other", async () => {
    const { hub, north, south, settle, links } = await family();
    await hub.write("insert into item values (1, 'north', 'a', 1), (2, 'south', 'b', 2), (3, null, 'c', 3), (4, 'north', 'd', 4)");
    expect(await links[0]?.settle()).toMatchObject({ received: 2, sent: 0 });
    await settle();
    expect([await ids(north), await ids(south)]).toEqual(["1 4", "2"]);
    await hub.write(
      "update item set region = 'south' where id = 1; update item set note = 'seen' where id = 2; update item set region = 'north' where id = 3",
    );
    await hub.write("insert into item values (5, 'south', 'e', 5); delete from item where id = 4; update item set note = 'x' where id = 1");
    await settle();
    expect(await north.rows(ROWS)).toEqual([["3", "north", "c"]]);
    expect(await south.rows(ROWS)).toEqual([
      ["1", "south", "x"],
      ["2", "south", "seen"],
      ["5", "south", "e"],
    ]);
    expect(await ids(hub)).toBe("1 2 3 5");
    expect(await history(hub, above)).toEqual([]);
    // what left is gone from the child alone, and nothing of that comes back
    for (const link of links) expect(await link.settle()).toEqual({ sent: 0, received: 0, conflicts: 0, parked: 0 });
  });

  test("a row that leaves and comes back, or comes and leaves, between two exchanges", async () => {
    const { hub, north, south, settle } = await family();
    await hub.write("insert into item values (1, 'north', 'a', 1), (2, 'south', 'b', 2)");
    await settle();
    await hub.write(
      "update item set region = 'south' where id = 1; update item set note = 'while away' where id = 1; update item set region = 'north' where id = 1",
    );
    await hub.write(
      "update item set region = 'north' where id = 2; update item set note = 'on a visit' where id = 2; update item set region = 'south' where id = 2",
    );
    await hub.write(
      "update item set id = 11 where id = 1; delete from item where id = 11; insert into item values (11, 'north', 'again', 1)",
    );
    await settle();
    expect(await north.rows(ROWS)).toEqual([["11", "north", "again"]]);
    expect(await south.rows(ROWS)).toEqual([["2", "south", "on a visit"]]);
  });

  test("a child writes its own rows, whatever it does to them", async () => {
    const { hub, north, settle, links } = await family();
    await settle();
    await north.write("insert into item values (1, 'north', 'mine', 1), (2, 'north', 'too', 2), (3, 'north', 'three', 3)");
    await settle();
    await north.write(
      "update item set note = 'changed' where id = 1; delete from item where id = 2; update item set slot = 9 where id = 3",
    );
    expect(await links[0]?.settle()).toMatchObject({ sent: 3, conflicts: 0 });
    expect(await hub.rows(ROWS)).toEqual([
      ["1", "north", "changed"],
      ["3", "north", "three"],
    ]);
    expect(await history(hub, above)).toEqual([]);
  });

  test("what a child writes outside of its rows is refused, recorded, and taken back at the child", async () => {
    const { hub, north, settle, links } = await family();
    await hub.write("insert into item values (1, 'north', 'a', 1), (2, 'south', 'secret', 2)");
    await settle();
    // outside from the start; out of its rows; NULL
    await north.write(
      "insert into item values (7, 'south', 'smuggled', 7); update item set region = 'south' where id = 1; insert into item values (8, null, 'nobody', 8)",
    );
    expect(await links[0]?.settle()).toMatchObject({ conflicts: 3 });
    await settle();
    expect(await hub.rows(ROWS)).toEqual([
      ["1", "north", "a"],
      ["2", "south", "secret"],
    ]);
    expect(await north.rows(ROWS)).toEqual([["1", "north", "a"]]);
    const recorded = await history(hub, above);
    expect(recorded.map((row) => row.slice(0, 4))).toEqual(Array.from({ length: 3 }, () => ["filter", "parent", "resolved", "north"]));
    const [, , , , , child] = recorded.find((row) => row[5]?.includes("smuggled")) ?? [];
    expect(json(child)).toMatchObject({ region: "south", note: "smuggled" });
    expect(recorded[0]?.[7]).toBe("outside of the rows that north is given (filter of item)");
  });

  test("a foreign row's key is not taken over, its row not overwritten, deleted, or told", async () => {
    const tables: TestTable[] = [{ name: "item", filter: "region = :region", policy: "child_wins" }];
    const { hub, north, settle, links } = await family(tables);
    await hub.write("insert into item values (1, 'north', 'a', 1), (2, 'south', 'secret', 2)");
    await settle();
    for (const attack of [
      "insert into item values (2, 'north', 'taken', 22)",
      "update item set note = 'again' where id = 2",
      "delete from item where id = 2",
      // as part of what looks like an ordinary transaction
      "update item set id = 2 where id = 1; insert into item values (1, 'north', 'a', 11)",
    ]) {
      await north.write(`${attack}; insert into item values (50, 'north', 'beside', 50)`);
      await links[0]?.settle();
      expect(await hub.rows("select note, region, slot from item where id = 2"), attack).toEqual([["secret", "south", "2"]]);
      expect(JSON.stringify(await north.rows("select * from item")), attack).not.toContain("secret");
      await settle();
      expect(await north.rows("select id, note from item where id <> 1"), attack).toEqual([["50", "beside"]]);
      await north.write("delete from item where id = 50");
      await settle();
    }
    expect((await history(hub, above)).every(([kind]) => kind === "filter")).toBe(true);
    // the parent's own history has both rows
    const first = (await history(hub, above))[0] ?? [];
    expect(json(first[4])).toMatchObject({ note: "secret" });
    expect(json(first[5])).toMatchObject({ note: "taken" });
  });

  test("a row that leaves while the child edits it offline: the edit is refused and recorded, then the row goes", async () => {
    for (const policy of ["parent_wins", "child_wins", "newest_wins"] as const) {
      const tables: TestTable[] = [{ name: "item", filter: "region = :region", policy }];
      const { hub, north, south, settle } = await family(tables);
      await hub.write("insert into item values (1, 'north', 'a', 1), (2, 'north', 'b', 2)");
      await settle();
      await hub.write("update item set region = 'south' where id in (1, 2)");
      await north.write("update item set note = 'offline' where id = 1; delete from item where id = 2");
      await settle();
      expect(await north.rows(ROWS)).toEqual([]);
      expect(await hub.rows(ROWS)).toEqual([
        ["1", "south", "a"],
        ["2", "south", "b"],
      ]);
      expect(await south.rows(ROWS)).toEqual(await hub.rows(ROWS));
      const recorded = await history(hub, above);
      expect(recorded.map(([kind]) => kind)).toEqual(["filter", "filter"]);
      expect(recorded.some((row) => row[5]?.includes("offline"))).toBe(true);
    }
  });

  test("a person may let a refused change count all the same; the child still has only what is its own", async () => {
    const { hub, north, south, settle } = await family();
    await hub.write("insert into item values (1, 'north', 'a', 1)");
    await settle();
    await north.write(
      "update item set region = 'south', note = 'moved on purpose' where id = 1; insert into item values (7, 'south', 'for you', 7)",
    );
    await settle();
    const { conflicts } = hub.node;
    const records = await conflicts.list({ limit: 10, kind: "filter" });
    expect(records.map(({ kind, resolution, childNode }) => [kind, resolution, childNode])).toEqual([
      ["filter", "parent", "north"],
      ["filter", "parent", "north"],
    ]);
    for (const record of records) await conflicts.resolve(record, { take: "child" }, { who: "ann", force: false });
    await settle();
    expect(await hub.rows(ROWS)).toEqual([
      ["1", "south", "moved on purpose"],
      ["7", "south", "for you"],
    ]);
    expect(await south.rows(ROWS)).toEqual(await hub.rows(ROWS));
    expect(await north.rows(ROWS)).toEqual([]);
  });

  test("edits of different columns of one row still are no conflict", async () => {
    const { hub, north, settle } = await family();
    await hub.write("insert into item values (1, 'north', 'a', 1)");
    await settle();
    await hub.write("update item set slot = 5 where id = 1");
    await north.write("update item set note = 'child' where id = 1");
    await settle();
    expect(await hub.rows("select note, slot from item")).toEqual([["child", "5"]]);
    expect(await north.rows("select note, slot from item")).toEqual([["child", "5"]]);
    expect(await history(hub, above)).toEqual([]);
  });

  test("rows that a child holds before its first contact: its own go up, others are refused and taken back", async () => {
    const { hub, north, settle } = await family();
    await hub.write("insert into item values (2, 'south', 'secret', 2)");
    await north.write("insert into item values (1, 'north', 'mine', 1), (2, 'north', 'clash', 22), (3, 'south', 'not mine', 3)");
    await settle();
    expect(await hub.rows(ROWS)).toEqual([
      ["1", "north", "mine"],
      ["2", "south", "secret"],
    ]);
    expect(await north.rows(ROWS)).toEqual([["1", "north", "mine"]]);
    expect((await history(hub, above)).map(([kind, , , who]) => [kind, who])).toEqual([
      ["filter", "north"],
      ["filter", "north"],
    ]);
  });

  test("parameters are values, whatever they look like", async () => {
    const names = ["it's", '"north"', "a;b", "'); drop table item; --", "$1", ":region", "\\' or 1=1 --", "", "%", "é🙂"];
    const hub = await node(above, "hub");
    const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
    const values = names.map((name, at) => `(${at}, ${literal(name)}, 'n${at}', ${at})`);
    await hub.write(`insert into item values ${values.join(", ")}`);
    for (const [at, region] of names.entries()) {
      const child = await node(below, `child-${at}`);
      const link = testLink(hub.node, child.node, TABLES, { params: { region } });
      await link.settle();
      expect(await child.rows("select note from item")).toEqual([[`n${at}`]]);
      await child.write(
        `insert into item values (${100 + at}, ${literal(region)}, 'up', ${100 + at}), (${200 + at}, ${literal(`${region}!`)}, 'no', ${200 + at})`,
      );
      expect(await link.settle()).toMatchObject({ conflicts: 1 });
      expect(await child.rows("select note from item order by id")).toEqual([[`n${at}`], ["up"]]);
    }
    expect(await hub.rows("select count(*) from item")).toEqual([[String(names.length * 2)]]);
  });

  test("a table that goes up only: what is outside is refused all the same", async () => {
    const hub = await node(above, "hub");
    const child = await node(below, "child");
    await child.write("insert into item values (1, 'north', 'a', 1), (2, 'south', 'b', 2)");
    const link = testLink(hub.node, child.node, TABLES, { ...NORTH, direction: "up" });
    expect(await link.settle()).toMatchObject({ conflicts: 1 });
    await child.write("update item set note = 'c'; insert into item values (3, 'north', 'x', 3)");
    await link.settle();
    expect(await hub.rows(ROWS)).toEqual([
      ["1", "north", "c"],
      ["3", "north", "x"],
    ]);
  });

  test("a table that goes down only is a view of the parent's", async () => {
    const hub = await node(above, "hub");
    const child = await node(below, "child");
    await hub.write("insert into item values (1, 'north', 'a', 1), (2, 'south', 'b', 2)");
    const link = testLink(hub.node, child.node, TABLES, { ...NORTH, direction: "down" });
    await link.settle();
    await hub.write("update item set region = case region when 'north' then 'south' else 'north' end; update item set note = 'z'");
    await link.settle();
    expect(await child.rows(ROWS)).toEqual([["2", "north", "z"]]);
  });

  test("a constraint at the parent that a child cannot see costs its own row alone", async () => {
    const { hub, north, settle } = await family();
    await hub.write("insert into item values (2, 'south', 'secret', 2)");
    await settle();
    await north.write("insert into item values (3, 'north', 'clash of slots', 2), (4, 'north', 'fine', 4)");
    await settle();
    expect((await hub.rows("select id from item order by id")).flat()).toEqual(["2", "4"]);
    expect(JSON.stringify(await north.rows("select * from item"))).not.toContain("secret");
    await hub.write("update item set slot = 20 where id = 2");
    await settle();
    expect((await hub.rows("select id from item order by id")).flat()).toEqual(["2", "3", "4"]);
  });
});

describe("three levels", () => {
  test.each<readonly [Engine, Engine, Engine]>([
    ["postgres", "postgres", "postgres"],
    ["postgres", "sqlite", "sqlite"],
    ["sqlite", "postgres", "sqlite"],
  ])("%s over %s over %s: the node in the middle passes removals on, and judges by its own link", async (...engines) => {
    const tables: TestTable[] = [{ name: "item", filter: "region = :region and (:desk = 'all' or note = :desk)" }];
    const [hub, middle, edge] = [
      await node(engines[0], "hub", tables),
      await node(engines[1], "middle", tables),
      await node(engines[2], "edge", tables),
    ];
    const upper = testLink(hub.node, middle.node, tables, { params: { region: "north", desk: "all" } });
    const lower = testLink(middle.node, edge.node, tables, { params: { region: "north", desk: "d1" } });
    const settle = async (): Promise<void> => {
      for (let round = 0; round < 4; round++) for (const link of [upper, lower]) await link.settle();
    };
    await hub.write("insert into item values (1, 'north', 'd1', 1), (2, 'north', 'd2', 2), (3, 'south', 'd1', 3), (4, 'north', 'd1', 4)");
    await settle();
    const ids = async (one: TestNode): Promise<string> => (await one.rows("select id from item order by id")).flat().join(" ");
    expect([await ids(hub), await ids(middle), await ids(edge)]).toEqual(["1 2 3 4", "1 2 4", "1 4"]);

    // leaves both, at the top; leaves the edge, in the middle; comes to both
    await hub.write("update item set region = 'south' where id = 1; update item set region = 'north' where id = 3");
    await middle.write("update item set note = 'd2' where id = 4");
    await settle();
    expect([await ids(hub), await ids(middle), await ids(edge)]).toEqual(["1 2 3 4", "2 3 4", "3"]);
    expect(await hub.rows("select note from item where id = 4")).toEqual([["d2"]]);

    // inside of the edge's rows, outside of the middle's: refused above, taken back at both
    await edge.write("insert into item values (9, 'north', 'd1', 9), (10, 'north', 'd3', 10)");
    await middle.write("insert into item values (11, 'west', 'd1', 11)");
    await settle();
    expect([await ids(hub), await ids(middle), await ids(edge)]).toEqual(["1 2 3 4 9", "2 3 4 9", "3 9"]);
    expect((await history(middle, engines[1])).map(([kind, , , who]) => [kind, who])).toEqual([["filter", "edge"]]);
    expect((await history(hub, engines[0])).map(([kind, , , who]) => [kind, who])).toEqual([["filter", "middle"]]);

    // a row that the edge edits while it leaves the middle
    await hub.write("update item set region = 'south' where id = 9");
    await edge.write("update item set slot = 99 where id = 9");
    await settle();
    expect([await ids(hub), await ids(middle), await ids(edge)]).toEqual(["1 2 3 4 9", "2 3 4", "3"]);
    expect(await hub.rows("select slot from item where id = 9")).toEqual([["9"]]);
  });
});
