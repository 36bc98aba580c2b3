import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink, wanted } from "../helpers/nodes.ts";
import { withClient } from "../helpers/postgres.ts";

type Engine = "postgres" | "sqlite";
const COLUMNS =
  "a text, b text, n bigint, city text, zip text, lo bigint, hi bigint, tag text unique, constraint in_order check (lo <= hi)";
const ALL = "select id, a, b, n, city, zip, lo, hi, tag from item order by id";
const SHORT = "create table item (id bigint primary key, a text)";
const ROW = "(1, 'a', 'b', 10, 'Bonn', '53', 1, 5, 'one')";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function node(engine: Engine, name: string, tables: readonly TestTable[]): Promise<TestNode> {
  const made =
    engine === "postgres"
      ? await postgresNode(name, `create table item (id bigint primary key, ${COLUMNS})`, tables)
      : await sqliteNode(name, `create table item (id integer primary key, ${COLUMNS})`, tables);
  open.push(made);
  return made;
}

/** A parent and a child at rest, with one row. */
async function pair([above, below]: readonly [Engine, Engine], rule: Omit<TestTable, "name">) {
  const tables = [{ name: "item", ...rule }];
  const parent = await node(above, "hub", tables);
  const child = await node(below, "store", tables);
  const link = testLink(parent.node, child.node, tables);
  await parent.write(`insert into item values ${ROW}`);
  await link.settle();
  const history = above === "postgres" ? "tombolo.conflict_history" : "tombolo_conflict_history";
  const settled = async (): Promise<(string | null)[][]> => {
    await link.settle();
    const rows = await parent.rows(ALL);
    expect(await child.rows(ALL)).toEqual(rows);
    expect(await link.settle()).toEqual({ sent: 0, received: 0, conflicts: 0, parked: 0 });
    return rows;
  };
  const conflicts = (columns: string) => parent.rows(`select ${columns} from ${history} order by id`);
  const columnList = above === "postgres" ? "to_json(columns)::text" : "columns";
  const image = (name: string, column: string) => `${name} ->> '${column}'`;
  return { parent, child, link, settled, conflicts, columnList, image };
}

const ENGINES: readonly (readonly [Engine, Engine])[] = [
  ["postgres", "sqlite"],
  ["postgres", "postgres"],
  ["sqlite", "sqlite"],
  ["sqlite", "postgres"],
];

describe.each(ENGINES)("a %s parent, a %s child", (above, below) => {
  const engines = [above, below] as const;

  test("manual: the parent's row stays, the child gets it, and its version waits as an open conflict", async () => {
    const { parent, child, settled, conflicts, columnList, image } = await pair(engines, { policy: "manual" });
    await parent.write("update item set a = 'hub' where id = 1");
    await child.write("update item set a = 'store', b = 'mine' where id = 1");
    expect(await settled()).toEqual([["1", "hub", "mine", "10", "Bonn", "53", "1", "5", "one"]]);
    const waiting = `kind, resolution, status, resolved_by, resolved_at, ${columnList}, ${image("child_row", "a")}, ${image("result_row", "a")}`;
    expect(await conflicts(waiting)).toEqual([["update_update", "open", "open", null, null, '["a"]', "store", "hub"]]);
    expect(await parent.node.installation.status()).toMatchObject({ openConflicts: 1 });
  });

  test("columns of a group are taken from one side, although each side changed another of them", async () => {
    const { parent, child, settled, conflicts, columnList } = await pair(engines, { policy: "child_wins", groups: [["city", "zip"]] });
    await parent.write("update item set city = 'Köln', a = 'hub' where id = 1");
    await child.write("update item set zip = '99', b = 'store' where id = 1");
    expect(await settled()).toEqual([["1", "hub", "store", "10", "Bonn", "99", "1", "5", "one"]]);
    expect(await conflicts(`kind, resolution, ${columnList}`)).toEqual([["update_update", "child", '["city","zip"]']]);
  });

  test("a counter ends as the sum of both sides' differences, equal ones too", async () => {
    const { parent, child, settled, conflicts } = await pair(engines, { policy: "merge", mergeColumns: { n: "counter" } });
    await parent.write("update item set n = n + 5 where id = 1");
    await child.write("update item set n = n + 5 where id = 1");
    await child.write("update item set n = n - 2, b = 'store' where id = 1");
    expect((await settled())[0]?.slice(0, 4)).toEqual(["1", "a", "store", "18"]);
    for (let i = 0; i < 3; i++) {
      await parent.write("update item set n = n + 1 where id = 1");
      await child.write("update item set n = n + 1 where id = 1");
    }
    expect((await settled())[0]?.[3]).toBe("24");
    expect(new Set((await conflicts("resolution")).flat())).toEqual(new Set(["merged"]));
  });

  test("what cannot be merged goes to `otherwise`, the rest of the row is merged all the same", async () => {
    const rule = { policy: "merge", mergeColumns: { n: "counter" }, otherwise: "manual" } as const;
    const { parent, child, settled, conflicts, columnList } = await pair(engines, rule);
    await parent.write("update item set n = 11, a = 'hub' where id = 1");
    await child.write("update item set n = 12, a = 'store' where id = 1");
    expect((await settled())[0]?.slice(0, 4)).toEqual(["1", "hub", "b", "13"]);
    expect(await conflicts(`resolution, status, ${columnList}`)).toEqual([["open", "open", '["a"]']]);
  });

  test("edits that are right by themselves and wrong together: the policy decides, nothing is parked", async () => {
    const { parent, child, link, settled, conflicts } = await pair(engines, { policy: "parent_wins" });
    await parent.write("update item set lo = 4 where id = 1");
    await child.write("update item set hi = 2, b = 'store' where id = 1");
    expect(await link.settle()).toMatchObject({ parked: 0, conflicts: 1 });
    expect((await settled())[0]?.slice(2, 8)).toEqual(["b", "10", "Bonn", "53", "4", "5"]);
    const [[kind, resolution, reason] = []] = await conflicts("kind, resolution, reason");
    expect([kind, resolution]).toEqual(["update_update", "parent"]);
    expect(reason).toMatch(above === "postgres" ? /in_order refused/ : /CHECK_VIOLATION/);
  });

  test("the same where the child wins: its row, which was right, is what stays", async () => {
    const { parent, child, link, settled } = await pair(engines, { policy: "child_wins" });
    await parent.write("update item set lo = 4, a = 'hub' where id = 1");
    await child.write("update item set hi = 2 where id = 1");
    expect(await link.settle()).toMatchObject({ parked: 0, conflicts: 1 });
    expect((await settled())[0]).toEqual(["1", "a", "b", "10", "Bonn", "53", "1", "2", "one"]);
  });

  test("a merge that the database refuses is decided by `otherwise`", async () => {
    const rule = { policy: "merge", mergeColumns: { lo: "counter" }, otherwise: "parent_wins" } as const;
    const { parent, child, link, settled, conflicts } = await pair(engines, rule);
    await parent.write("update item set lo = lo + 3 where id = 1");
    await child.write("update item set lo = lo + 3, b = 'store' where id = 1");
    expect(await link.settle()).toMatchObject({ parked: 0, conflicts: 1 });
    expect((await settled())[0]?.slice(0, 7)).toEqual(["1", "a", "b", "10", "Bonn", "53", "4"]);
    expect(await conflicts("resolution")).toEqual([["parent"]]);
  });
});

test("newest_wins compares the times of people's changes through the middle of a tree, whichever link comes up first", async () => {
  for (const lowerFirst of [true, false]) {
    const tables: TestTable[] = [{ name: "item", policy: "newest_wins" }];
    const hub = await node("postgres", "hub", tables);
    const middle = await node("postgres", "middle", tables);
    const leaf = await node("sqlite", "leaf", tables);
    const upper = testLink(hub.node, middle.node, tables);
    const lower = testLink(middle.node, leaf.node, tables);
    await hub.write(`insert into item values ${ROW}`);
    await upper.settle();
    await lower.settle();
    // further apart than a busy machine measures the clocks wrong
    const told = async (by: TestNode, a: string): Promise<void> => {
      const from = Date.now();
      await by.write(`update item set a = '${a}' where id = 1`);
      await vi.waitUntil(() => Date.now() > from + 100);
    };
    await told(middle, "middle");
    await told(hub, "hub");
    await told(leaf, "leaf");
    if (!lowerFirst) await upper.settle();
    for (let round = 0; round < 3; round++) {
      await lower.settle();
      await upper.settle();
    }
    for (const { rows } of [hub, middle, leaf]) expect((await rows(ALL))[0]?.[1], `lower link first: ${lowerFirst}`).toBe("leaf");
  }
});

describe.each([
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
] as const)("a user's module at a %s parent, a %s child", (above, below) => {
  test("decides, its verdict is kept, and where it fails `otherwise` decides", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tombolo-module-"));
    const module = join(folder, "decide.mjs");
    writeFileSync(
      module,
      `export default ({ op, parent, child, parentNode, childNode }) => {
        if (op === "delete") return { take: "open", reason: "a person looks at deletions" };
        if (child.a === "throw") throw new Error("secret " + child.a);
        return { row: { a: [parentNode, parent.a, childNode, child.a].join("+"), n: child.n }, reason: "both" };
      };`,
    );
    try {
      const rule = { policy: "module", module, otherwise: "child_wins" } as const;
      const { parent, child, link, settled, conflicts } = await pair([above, below], rule);
      await parent.write("update item set a = 'x', n = 11 where id = 1");
      await child.write("update item set a = 'y', n = 12 where id = 1");
      expect((await settled())[0]?.slice(0, 4)).toEqual(["1", "hub+x+store+y", "b", "12"]);
      await parent.write("update item set a = 'again' where id = 1");
      await child.write("update item set a = 'throw' where id = 1");
      expect((await settled())[0]?.[1]).toBe("throw");
      await parent.write("update item set a = 'kept' where id = 1");
      await child.write("delete from item where id = 1");
      await link.settle();
      expect((await settled())[0]?.[1]).toBe("kept");
      const [first, second, third] = await conflicts("kind, policy, resolution, reason");
      expect(first).toEqual(["update_update", "module", "merged", "The module decided: both (a, n)"]);
      expect(second?.slice(0, 3)).toEqual(["update_update", "module", "child"]);
      expect(second?.[3]).toMatch(/^The module did not decide: /);
      expect(second?.[3]).not.toContain("secret");
      expect(third?.slice(0, 3)).toEqual(["update_delete", "module", "open"]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe.each(["postgres", "sqlite"] as const)("the plan of a %s node", (engine) => {
  test("names what `conflict` says about columns that are not there, that are the key, or that cannot be merged so, and a module that is missing", async () => {
    const bare = await node(engine, "hub", []);
    const findings = async (rule: Omit<TestTable, "name">) => {
      const { findings: found } = await bare.node.installation.plan(wanted([{ name: "item", ...rule }], engine));
      return found.filter(({ severity }) => severity === "error").map(({ code }) => code);
    };
    expect(await findings({ policy: "merge", mergeColumns: { a: "text", n: "counter", tag: "set", b: "json", lo: "max" } })).toEqual([]);
    expect(await findings({ groups: [["city", "nowhere"]] })).toEqual(["CONFLICT_COLUMN_MISSING"]);
    expect(await findings({ policy: "merge", mergeColumns: { id: "counter" } })).toEqual(["CONFLICT_COLUMN_KEY"]);
    expect(await findings({ policy: "module", module: "/nowhere/decide.js" })).toEqual(["MODULE_NOT_FOUND"]);
    const unfit = { policy: "merge", mergeColumns: { a: "counter", n: "json" } } as const;
    expect(await findings(unfit)).toEqual(engine === "postgres" ? ["MERGE_TYPE", "MERGE_TYPE"] : []);
  });
});

describe.each(["parent", "child"] as const)("newest_wins, and a transaction of the %s that began long before it wrote", (which) => {
  test.each([
    ["after", "long"],
    ["before", "short"],
  ] as const)("%s the other side did: what was written last stands, whenever it began or was committed", async (order, winner) => {
    const tables = [{ name: "item", policy: "newest_wins" as const }];
    const ends = { parent: await postgresNode("hub", SHORT, tables), child: await postgresNode("store", SHORT, tables) };
    open.push(ends.parent, ends.child);
    const link = testLink(ends.parent.node, ends.child.node, tables);
    await ends.parent.write("insert into item values (1, '')");
    await link.settle();
    const write = (by: string): string => `update item set a = '${by}' where id = 1`;
    await withClient(ends[which].database.url, async (client) => {
      await client.query("begin; select now()");
      if (order === "before") await client.query(write("long"));
      await ends[which === "parent" ? "child" : "parent"].write(write("short"));
      if (order === "after") await client.query(write("long"));
      await client.query("commit");
    });
    await link.settle();
    for (const end of Object.values(ends)) expect(await end.rows("select a from item")).toEqual([[winner]]);
  });
});
