import { afterEach, describe, expect, test } from "vitest";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

type Engine = "postgres" | "sqlite";

const TABLES: TestTable[] = [
  {
    name: "card",
    policy: "merge",
    mergeColumns: { note: "text", attrs: "json", tags: "set", price: "counter", score: "counter", seen: "max", low: "min" },
    otherwise: "parent_wins",
  },
];
const POSTGRES = `create table card (id bigint primary key, note text, attrs jsonb, tags text[], price numeric(12,2), score double precision,
  seen timestamptz, low bigint, title text)`;
const SQLITE = `create table card (id integer primary key, note text, attrs text, tags text, price numeric(12,2), score real,
  seen text, low integer, title text)`;
const ALL = "select note, attrs, tags, price, score, seen, low, title from card order by id";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function pair(above: Engine, below: Engine) {
  const node = async (engine: Engine, name: string): Promise<TestNode> => {
    const made = engine === "postgres" ? await postgresNode(name, POSTGRES, TABLES) : await sqliteNode(name, SQLITE, TABLES);
    open.push(made);
    return made;
  };
  const [parent, child] = [await node(above, "hub"), await node(below, "store")];
  const link = testLink(parent.node, child.node, TABLES);
  const history = above === "postgres" ? "tombolo.conflict_history" : "tombolo_conflict_history";
  return {
    parent,
    child,
    settle: () => link.settle(),
    history: () => parent.rows(`select resolution, reason from ${history} order by id`),
  };
}

/** A timestamp as the engines print it, in UTC. */
const stamp = (text: string | null | undefined): string => new Date(`${text}`.replace(/\+00$/, "Z")).toISOString();

describe.each<readonly [Engine, Engine]>([
  ["postgres", "sqlite"],
  ["postgres", "postgres"],
  ["sqlite", "sqlite"],
  ["sqlite", "postgres"],
])("merging at a %s parent, a %s child", (above, below) => {
  test("brings both sides' edits of every kind together, and both nodes hold the outcome", async () => {
    const { parent, child, settle, history } = await pair(above, below);
    await parent.write(`insert into card values (1, 'Call Ada. Bring the keys.', '{"a": 1, "list": [{"id": 1, "n": 1}]}', '{red,blue}', 10.5, 0.1,
      '2024-01-01 10:00:00+00', 5, 'title')`);
    await settle();
    await parent.write(`update card set note = 'Bring the keys. Call Ada.', attrs = '{"a": 2, "list": [{"id": 1, "n": 1}, {"id": 2, "n": 1}]}',
      tags = '{red,blue,green}', price = price + 1.25, score = 0.3, seen = '2024-01-02 12:00:00+00', low = 4 where id = 1`);
    await child.write(`update card set note = 'Call Ada. Bring the new keys.', attrs = '{"a": 1, "b": 12345678901234567890, "list": [{"id": 1, "n": 7}]}',
      tags = '{blue,"light grey"}', price = price - 0.75, score = 0.2, seen = '2024-01-02 11:00:00+00', low = 3 where id = 1`);
    expect(await settle()).toMatchObject({ conflicts: 1, parked: 0 });
    await settle();
    const [[note, attrs, tags, price, score, seen, low, title] = []] = await parent.rows(ALL);
    expect(note).toBe("Bring the new keys. Call Ada.");
    expect(attrs).toContain("12345678901234567890");
    expect(JSON.parse(attrs ?? "")).toMatchObject({
      a: 2,
      list: [
        { id: 1, n: 7 },
        { id: 2, n: 1 },
      ],
    });
    expect([tags, Number(price), score, low, title]).toEqual(['{blue,green,"light grey"}', 11, "0.4", "3", "title"]);
    expect(stamp(seen)).toBe("2024-01-02T12:00:00.000Z");
    expect(await history()).toEqual([["merged", expect.stringMatching(/^Merged\./)]]);
    const [row = []] = await child.rows(ALL);
    expect(
      row.map((value, at) => (at === 5 ? stamp(value) : at === 3 ? Number(value) : at === 1 ? JSON.parse(`${value}`) : value)),
    ).toEqual([note, JSON.parse(attrs ?? ""), tags, 11, "0.4", stamp(seen), "3", "title"]);
    expect(await settle()).toEqual({ sent: 0, received: 0, conflicts: 0, parked: 0 });
  });

  test("a sum that becomes whole, and one that no longer is", async () => {
    const { parent, child, settle } = await pair(above, below);
    await parent.write("insert into card (id, price, score) values (1, 0.5, 0.5), (2, 2, 2)");
    await settle();
    for (const { write } of [parent, child]) await write("update card set price = price + 0.75, score = score + 0.75");
    expect(await settle()).toMatchObject({ conflicts: 2, parked: 0 });
    await settle();
    for (const { rows } of [parent, child]) {
      expect((await rows("select price, score from card order by id")).map((row) => row.map(Number))).toEqual([
        [2, 2],
        [3.5, 3.5],
      ]);
    }
  });

  test("what overlaps says so, by name, and is decided by `otherwise`; the rest is merged", async () => {
    const { parent, child, settle, history } = await pair(above, below);
    await parent.write(`insert into card (id, note, attrs, low) values (1, 'canary four', '{"a": 1}', 9)`);
    await settle();
    await parent.write(`update card set note = 'canary five', attrs = '{"a": 2}', low = 8 where id = 1`);
    await child.write(`update card set note = 'canary six', attrs = '{"a": 3}', low = 7 where id = 1`);
    await settle();
    await settle();
    for (const { rows } of [parent, child]) {
      const [[note, attrs, , , , , low] = []] = await rows(ALL);
      expect([note, JSON.parse(attrs ?? ""), low]).toEqual(["canary five", { a: 2 }, "7"]);
    }
    const [[resolution, reason] = []] = await history();
    expect(resolution).toBe("merged");
    expect(reason).toMatch(
      /note: both sides changed the same words in different ways \(line 1\); attrs: both sides changed \$\.a in different ways/,
    );
    expect(reason).not.toContain("canary");
  });
});
