import { describe, expect, test } from "vitest";
import { channelName, position, tableName } from "../../replicator/change/names.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { changedKeys } from "../../replicator/reconcile/changed-keys.ts";
import type { ReconcileOptions } from "../../replicator/reconcile/reconcile-link.ts";
import { drift } from "../helpers/drift.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { postgresNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, type Engine, type Pair, pairOf } from "../helpers/pair.ts";
import { reconciled, summary } from "../helpers/reconcile.ts";

closeAfterEach();

const PAIRS: readonly [Engine, Engine][] = [
  ["postgres", "postgres"],
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
  ["sqlite", "sqlite"],
];
const SCHEMA = both("create table item (id bigint primary key, name text); create table tag (name text not null primary key, n integer)");
const TABLES: readonly TestTable[] = [{ name: "item" }, { name: "tag" }];
const KEEP = { keepMs: 7 * 86_400_000, maxBytes: 2 ** 40 };

const fresh = async (engines: [Engine, Engine], tables = TABLES): Promise<Pair> => {
  const pair = await pairOf(engines, SCHEMA, tables);
  await pair.parent.write(
    "insert into item values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'); insert into tag values ('x', 1), ('Y', 2), ('z', 3)",
  );
  await pair.settle();
  return pair;
};
const changed = async (pair: Pair, options: Partial<ReconcileOptions> = {}): Promise<string[]> =>
  summary(await reconciled(pair, { scope: "changed", ...options }));
const FIRST = ["item: 6 compared, 0 differ, 0 repaired, all rows: first", "tag: 3 compared, 0 differ, 0 repaired, all rows: first"];
const purge = async ({ parent, child }: Pair): Promise<void> => {
  for (const { node } of [parent, child]) await node.log.purge();
};

test("what has changed is looked at beside the process that reads the slots of both", async () => {
  const tables = TABLES.slice(0, 1);
  const nodes = [
    await postgresNode("hub", SCHEMA.postgres, tables, { capture: "slot" }),
    await postgresNode("store", SCHEMA.postgres, tables, { capture: "slot" }),
  ] as const;
  const [parent, child] = nodes;
  // as a command, or a schedule, opens them
  const beside = await Promise.all(nodes.map(({ node: { name }, database: { url } }) => openPostgresNode({ name, url, capture: "slot" })));
  try {
    await parent.write("insert into item values (1, 'a'), (2, 'b')");
    const link = testLink(parent.node, child.node, tables);
    await link.settle();
    const ends = { ...link.ends, parent: beside[0] as Node, child: beside[1] as Node };
    const compared = async (): Promise<string[]> => summary(await reconciled({ link: { ...link, ends } }, { scope: "changed" }));
    expect(await compared()).toEqual(["clean", "item: 2 compared, 0 differ, 0 repaired, all rows: first"]);
    await parent.write("update item set name = 'A' where id = 1");
    await link.settle();
    expect(await compared()).toEqual(["clean", "item: 1 changed compared, 0 differ, 0 repaired"]);
  } finally {
    for (const node of [...beside, ...nodes]) await node.close();
  }
});

describe.each(PAIRS)("what has changed, of a %s above a %s", (above, below) => {
  test("only rows that either log has news of are looked at, and those that were left different", async () => {
    const pair = await fresh([above, below]);
    expect(await changed(pair)).toEqual(["clean", ...FIRST]);
    expect(await changed(pair)).toEqual([
      "clean",
      "item: 0 changed compared, 0 differ, 0 repaired",
      "tag: 0 changed compared, 0 differ, 0 repaired",
    ]);

    await pair.parent.write(
      "update item set name = 'A' where id = 1; insert into item values (7, 'g'); update tag set n = 9 where name = 'x'",
    );
    await pair.child.write("update item set name = 'B' where id = 2; delete from item where id = 3");
    await pair.settle();
    await purge(pair);
    // of 6 there is no news; the others have changed as well
    await drift(pair.child, "update item set name = 'drifted' where id in (1, 6); delete from item where id = 7");
    await drift(pair.parent, "update item set name = 'drifted' where id = 2; update tag set n = 8 where name = 'x'");
    const found = ["item: 4 changed compared, 3 differ, 0 repaired", "tag: 1 changed compared, 1 differ, 0 repaired"];
    expect(await changed(pair)).toEqual(["drift", ...found]);

    expect(await changed(pair)).toEqual([
      "drift",
      "item: 3 changed compared, 3 differ, 0 repaired",
      "tag: 1 changed compared, 1 differ, 0 repaired",
    ]);
    expect(await changed(pair, { repair: "parent" })).toEqual([
      "repaired",
      "item: 3 changed compared, 3 differ, 3 repaired",
      "tag: 1 changed compared, 1 differ, 1 repaired",
    ]);
    expect((await changed(pair))[0]).toBe("clean");
    expect(summary(await reconciled(pair))).toEqual([
      "drift",
      "item: 6 compared, 1 differ, 0 repaired",
      "tag: 3 compared, 0 differ, 0 repaired",
    ]);
  });

  test("what had not arrived when the last comparison began is looked at again", async () => {
    const pair = await fresh([above, below]);
    await pair.parent.write("update item set name = 'A' where id = 1");
    await pair.child.write("update item set name = 'B' where id = 2");
    expect((await changed(pair))[1]).toBe("item: 6 compared, 0 differ, 0 repaired, 2 under way, all rows: first");
    await pair.settle();
    await drift(pair.child, "update item set name = 'drifted' where id in (1, 2)");
    expect((await changed(pair))[1]).toBe("item: 2 changed compared, 2 differ, 0 repaired");
  });

  test("the logs are kept for the next comparison, though not beyond what they may be; then all rows are compared", async () => {
    const pair = await fresh([above, below]);
    await changed(pair);
    for (const limits of [
      { ...KEEP, keepMs: -60_000 },
      { ...KEEP, maxBytes: 1 },
    ]) {
      await pair.parent.write("update item set name = name || '+' where id = 1");
      await pair.settle();
      await purge(pair);
      for (const { node } of [pair.parent, pair.child]) expect(await node.log.retain(KEEP)).toEqual([]);
      expect((await changed(pair))[1]).toBe("item: 1 changed compared, 0 differ, 0 repaired");
      await pair.parent.write("update item set name = name || '+' where id = 2");
      await pair.settle();
      for (const { node } of [pair.parent, pair.child]) expect(await node.log.retain(limits)).toEqual([]);
      expect((await changed(pair))[1]).toBe("item: 6 compared, 0 differ, 0 repaired, all rows: log_not_kept");
    }
  });

  test("a table that was truncated, filled anew, or of which changes may have been missed, is compared as a whole", async () => {
    const pair = await fresh([above, below]);
    await changed(pair);
    const own = above === "postgres" ? "tombolo.captured_table" : "tombolo_captured_table";
    await pair.parent.write(`update ${own} set state = 'must_compare', reason = 'TRIGGER_DISABLED' where table_name = 'item'`);
    expect((await changed(pair))[1]).toBe("item: 6 compared, 0 differ, 0 repaired, all rows: must_compare");
    await pair.parent.write(`update ${own} set state = 'live', reason = null where table_name = 'item'`);
    await syncFully(pair.parent.node, pair.child.node, TABLES);
    await pair.settle();
    expect((await changed(pair))[1]).toBe("item: 6 compared, 0 differ, 0 repaired, all rows: filled_anew");
    if (above === "postgres") {
      await pair.parent.write("truncate item");
      await pair.settle();
      expect((await changed(pair))[1]).toBe("item: 0 compared, 0 differ, 0 repaired, all rows: emptied");
    }
  });
});

describe.each(["postgres", "sqlite"] as const)("a %s node", (engine) => {
  const place = async (node: TestNode): Promise<unknown> => {
    const table = engine === "postgres" ? "tombolo.compare_hold" : "tombolo_compare_hold";
    return node.rows(`select position, run from ${table} where table_name = 'item' and not running`);
  };

  test("where two compare at once, only the one that began last is gone on from", async () => {
    const { parent, child, settle } = await fresh([engine, "sqlite"]);
    const { compareHolds } = parent.node;
    const tables = [{ table: tableName("item"), channel: channelName("all") }];
    await compareHolds.begin(child.node.name, "first", tables);
    await parent.write("insert into item values (8, 'h')");
    await settle();
    await compareHolds.begin(child.node.name, "second", tables);
    const done = [{ table: tableName("item"), left: [], as: "" }];
    await compareHolds.compared(child.node.name, "first", done, 60_000);
    expect(await place(parent)).toEqual([]);
    await compareHolds.compared(child.node.name, "second", done, 60_000);
    expect(await place(parent)).toEqual([[expect.any(String), "second"]]);
  });

  test("a log that is let go while it is read tells nothing", async () => {
    const pair = await fresh([engine, "sqlite"]);
    await changed(pair);
    const { node } = pair.parent;
    const { name: reader } = pair.child.node;
    const hold = (await node.compareHolds.begin(reader, "next", [{ table: tableName("item"), channel: channelName("all") }])).get(
      tableName("item"),
    );
    const after = typeof hold === "object" ? hold.position : position(0n);
    await pair.parent.write("insert into item values (8, 'h')");
    await pair.settle();
    const read = () => changedKeys(node, { reader, after, tables: [{ name: tableName("item"), filter: null, keyOf: (key) => key }] });
    expect(await read()).toEqual([new Set([expect.stringContaining("8")])]);
    // nobody else needs it, or could be left behind: the child has what came before the tick of that look, and more
    await pair.parent.write("insert into item values (9, 'i')");
    await pair.settle();
    expect(await node.log.retain({ ...KEEP, maxBytes: 1 })).toEqual([]);
    expect(await read()).toEqual(["log_not_kept"]);
  });

  test("nothing is held of what nobody asked to go on from, nor once the time is over", async () => {
    const pair = await fresh([engine, "sqlite"]);
    const { compareHolds } = pair.parent.node;
    await reconciled(pair);
    const tables = [{ table: tableName("item"), channel: channelName("all") }];
    const { name } = pair.child.node;
    const begin = async (run: string) => (await compareHolds.begin(name, run, tables)).get(tableName("item"));
    expect(await begin("one")).toBe("first");
    await compareHolds.compared(name, "one", [{ table: tableName("item"), left: ['["3"]'], as: "so" }], -1);
    expect(await begin("two")).toBe("log_not_kept");
    await compareHolds.compared(name, "two", [{ table: tableName("item"), left: ['["3"]'], as: "so" }], 60_000);
    expect(await begin("three")).toEqual({ position: expect.anything(), left: ['["3"]'], as: "so" });
  });
});
