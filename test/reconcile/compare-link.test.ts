import { describe, expect, test } from "vitest";
import { tableName } from "../../replicator/change/names.ts";
import { sleep } from "../../replicator/link/sleep.ts";
import { compareLink } from "../../replicator/reconcile/compare-link.ts";
import { comparedTables } from "../../replicator/reconcile/compared-tables.ts";
import { type Sleep, settleCandidates } from "../../replicator/reconcile/settle.ts";
import { drift } from "../helpers/drift.ts";
import type { TestTable } from "../helpers/nodes.ts";
import { both, closeAfterEach, type Engine, type Pair, pairOf } from "../helpers/pair.ts";

closeAfterEach();

const PAIRS: readonly [Engine, Engine][] = [
  ["postgres", "postgres"],
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["sqlite", "postgres"],
];
const SCHEMA = both(
  "create table item (id bigint primary key, name text, qty integer); create table tag (name text not null primary key, n integer)",
);
const TABLES: readonly TestTable[] = [{ name: "item" }, { name: "tag" }];
const item = (engine: Engine): string => (engine === "postgres" ? "public.item" : "item");

async function compared(
  pair: Pair,
  options: { readonly sleep: Sleep } = { sleep },
): Promise<{ [table: string]: { rows: number; keys: string[]; unsettled: number; parked: number } }> {
  const { tables, skipped } = await comparedTables(pair.link.ends, null);
  expect(skipped).toEqual([]);
  const found = await compareLink(pair.link.ends, { tables, signal: new AbortController().signal, onProgress: () => {}, ...options });
  return Object.fromEntries(
    found.map(({ table, compared: rows, differences, unsettled, parked }) => [
      table.name,
      { rows, keys: differences.map(({ key, kind }) => `${JSON.parse(key).join().replace("'", "")} ${kind}`).sort(), unsettled, parked },
    ]),
  );
}

const clean = (rows: number) => ({ rows, keys: [], unsettled: 0, parked: 0 });

describe.each(PAIRS)("%s above %s", (above, below) => {
  const fresh = async (): Promise<Pair> => {
    const pair = await pairOf([above, below], SCHEMA, TABLES);
    await pair.parent.write(
      `insert into ${item(above)} values (1, 'one', 1), (2, 'two', 2), (3, 'three', 3); insert into ${item(above).replace("item", "tag")} values ('a', 1), ('B', 2)`,
    );
    await pair.settle();
    return pair;
  };

  test("nodes that are equal are; what was changed behind the back of capture is found, on either side", async () => {
    const pair = await fresh();
    expect(await compared(pair)).toEqual({ item: clean(3), tag: clean(2) });
    await drift(pair.child, `update ${item(below)} set qty = 9 where id = 1; insert into ${item(below)} values (7, 'mine', 7)`);
    await drift(
      pair.parent,
      `insert into ${item(above)} values (8, 'theirs', 8); update ${item(above).replace("item", "tag")} set n = 5 where name = 'B'`,
    );
    expect(await compared(pair)).toEqual({
      item: { rows: 4, keys: ["1 differs", "7 only_child", "8 only_parent"], unsettled: 0, parked: 0 },
      tag: { rows: 2, keys: ["B differs"], unsettled: 0, parked: 0 },
    });
  });

  test("a link that brings nothing for a second is waited for", async () => {
    const pair = await fresh();
    await pair.parent.write(`update ${item(above)} set qty = 20 where id = 2`);
    let waitedMs = 0;
    const carried = async (ms: number): Promise<void> => {
      waitedMs += ms;
      if (waitedMs >= 1_000) await pair.settle();
    };
    expect((await compared(pair, { sleep: carried })).item).toEqual(clean(3));
  });

  test("edits that have not been sent yet are no differences, in either direction", async () => {
    const pair = await fresh();
    await pair.child.write(
      `update ${item(below)} set qty = 9 where id = 1; delete from ${item(below)} where id = 2; insert into ${item(below)} values (9, 'new', 9)`,
    );
    await pair.parent.write(`update ${item(above)} set name = 'THREE' where id = 3`);
    expect((await compared(pair)).item).toEqual({ rows: 3, keys: [], unsettled: 4, parked: 0 });
    await pair.settle();
    expect((await compared(pair)).item).toEqual(clean(3));
  });

  test("while both sides are written to and the link runs, nothing is reported but the drift", async () => {
    const pair = await fresh();
    await pair.parent.write(
      `insert into ${item(above)} ${above === "postgres" ? "select g, 'x', 0 from generate_series(10, 400) g" : "with recursive s(g) as (select 10 union all select g + 1 from s where g < 400) select g, 'x', 0 from s"}`,
    );
    await pair.settle();
    await drift(pair.child, `update ${item(below)} set name = 'drifted' where id = 5 + 95`);
    const stop = new AbortController();
    const running = pair.link.run(stop.signal);
    let writes = 0;
    const writer = async (node: Pair["parent"], table: string, seed: number): Promise<void> => {
      for (let n = seed; !stop.signal.aborted; n += 2) {
        const id = 10 + ((n * 7919) % 391);
        if (id === 100) continue;
        await node.write(
          n % 5 === 0
            ? `delete from ${table} where id = ${id}`
            : n % 5 === 1
              ? `insert into ${table} values (${1000 + n}, 'n', ${n})`
              : `update ${table} set qty = ${n} where id = ${id}`,
        );
        writes++;
        await sleep(2, stop.signal);
      }
    };
    const writers = [writer(pair.parent, item(above), 1), writer(pair.child, item(below), 2)];
    try {
      // a busy machine writes less in the time of a comparison
      for (let round = 0; round < 4 || writes <= 30; round++) {
        const { item: found } = await compared(pair);
        expect(found?.keys).toEqual(["100 differs"]);
      }
    } finally {
      stop.abort();
      await Promise.all([...writers, running]);
    }
    await pair.settle();
    expect((await compared(pair)).item?.keys).toEqual(["100 differs"]);
  });
});

test("what means the same in Postgres is no difference, whatever its spelling in SQLite", async () => {
  const pair = await pairOf(
    ["postgres", "sqlite"],
    {
      postgres: "create table public.item (id bigint primary key, at timestamptz, doc jsonb, flag boolean, price numeric(10,2))",
      sqlite: "create table item (id integer primary key, at text, doc text, flag text, price text)",
    },
    [{ name: "item" }],
  );
  await pair.child.write(`insert into item values (1, '2026-01-31T12:00:00Z', '{"b": 1,   "a": 2}', 'yes', '3')`);
  await pair.settle();
  expect(await pair.parent.rows("select doc from public.item")).toEqual([['{"a": 2, "b": 1}']]);
  expect((await compared(pair)).item).toEqual(clean(1));
  await drift(pair.child, `update item set doc = '{"b": 1, "a": 3}'`);
  expect((await compared(pair)).item?.keys).toEqual(["1 differs"]);
});

test("a change that the parent has set aside is no difference", async () => {
  const pair = await pairOf(
    ["postgres", "sqlite"],
    {
      postgres: "create table public.item (id bigint primary key, qty integer check (qty < 100))",
      sqlite: "create table item (id integer primary key, qty integer)",
    },
    [{ name: "item" }],
  );
  await pair.child.write("insert into item values (1, 500), (2, 5)");
  await pair.settle();
  expect(await pair.parked("parent")).toHaveLength(1);
  expect((await compared(pair)).item).toEqual({ rows: 2, keys: [], unsettled: 0, parked: 1 });
});

test("a table that the child has not been given yet is skipped with a reason", async () => {
  const pair = await pairOf(["postgres", "sqlite"], SCHEMA, [{ name: "item" }]);
  const ends = pair.link.ends;
  const [channel] = ends.topology.channels;
  const wider = {
    ...ends.topology,
    channels: [{ ...channel!, tables: [...channel!.tables, { ...channel!.tables[0]!, name: tableName("tag"), sqlite: "tag" }] }],
  };
  const { tables, skipped } = await comparedTables({ ...ends, topology: wider }, null);
  expect(tables.map(({ name }) => name)).toEqual(["item"]);
  expect(skipped.map(({ name, error }) => `${name} ${error.code}`)).toEqual(["tag TABLE_NOT_FILLED"]);
});

test.each([
  ["postgres", "postgres"],
  ["sqlite", "sqlite"],
] as const)("of large rows that differ only a few are asked for at once, and all of them are told: %s above %s", async (above, below) => {
  const pair = await pairOf([above, below], SCHEMA, TABLES);
  const long = above === "postgres" ? "repeat('x', 5000)" : "hex(zeroblob(2500))";
  const numbers =
    above === "postgres"
      ? "generate_series(1, 300) i"
      : "(with recursive n(i) as (select 1 union all select i + 1 from n where i < 300) select i from n)";
  await pair.parent.write(`insert into ${item(above)} select i, ${long}, i from ${numbers}`);
  await pair.settle();
  await drift(pair.child, `update ${item(below)} set qty = -qty`);
  const { ends } = pair.link;
  const { tables } = await comparedTables(ends, [tableName("item")]);
  const [table] = tables;
  if (table === undefined) throw new Error("no table");
  let [most, rows] = [0, 0];
  const digests: typeof ends.parent.digests = {
    normalised: (...given) => ends.parent.digests.normalised(...given),
    open: async (wanted) => {
      const opened = await ends.parent.digests.open(wanted);
      const ask = opened.rows.bind(opened);
      opened.rows = async (...asked) => {
        const found = await ask(...asked);
        rows += found.length;
        most = Math.max(
          most,
          found.reduce((sum, row) => sum + (row?.row.length ?? 0), 0),
        );
        return found;
      };
      return opened;
    },
  };
  const keys = new Set(Array.from({ length: 300 }, (_, at) => JSON.stringify([String(at + 1)])));
  const settled = await settleCandidates(
    { ...ends, parent: { ...ends.parent, name: ends.parent.name, digests } },
    { candidates: new Map([[table, keys]]), signal: new AbortController().signal, sleep, characters: 400_000 },
  );
  expect(new Set(settled.get(table)?.differences.map(({ key }) => key))).toEqual(keys);
  expect(rows).toBe(600);
  // the first 50, whatever their size; half of what there is room for is of the other side
  expect(most).toBeLessThan(300_000);
});
