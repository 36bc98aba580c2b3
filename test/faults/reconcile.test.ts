import { expect, test } from "vitest";
import { sleep } from "../../replicator/link/sleep.ts";
import { compareLink } from "../../replicator/reconcile/compare-link.ts";
import { comparedTables } from "../../replicator/reconcile/compared-tables.ts";
import { drift } from "../helpers/drift.ts";
import type { TestNode } from "../helpers/nodes.ts";
import { both, closeAfterEach, type Engine, pairOf } from "../helpers/pair.ts";
import { random } from "../helpers/random.ts";
import { reconciled } from "../helpers/reconcile.ts";

closeAfterEach();

const SECONDS = process.env.TOMBOLO_FAULTS === "full" ? 30 : 4;
const DEADLOCK = "40P01";
const PAIRS: readonly [Engine, Engine][] = [
  ["postgres", "sqlite"],
  ["postgres", "postgres"],
  ["sqlite", "postgres"],
  ["sqlite", "sqlite"],
];

/** A pair whose link runs and whose two ends are written to, in conflict with each other, until `stop` is called. */
async function busyPair([above, below]: readonly [Engine, Engine]) {
  const schema = both(
    "create table item (id bigint primary key, name text, qty integer); create table tag (name text not null primary key, n integer)",
  );
  const pair = await pairOf([above, below], schema, [
    { name: "item", policy: "newest_wins" },
    { name: "tag", policy: "child_wins", detect: "row" },
  ]);
  const over = new AbortController();
  const running = pair.link.run(over.signal);
  let writes = 0;
  const writer = async (node: TestNode, engine: Engine, seed: number): Promise<void> => {
    const { int, pick } = random(seed);
    const [item, tag] = tablesOf(engine);
    // few rows, so that both sides meet at them all the time; keys come, go and come back
    const statements = [
      () => `delete from ${item} where id = ${int(300)}`,
      () => `insert into ${item} values (${int(300)}, 'n${int(9)}', ${int(1000)}) on conflict do nothing`,
      () => `update ${item} set name = 'x${int(1000)}' where id = ${int(300)}`,
      () => `update ${item} set qty = ${int(1000)} where id = ${int(300)}`,
      () => `insert into ${tag} values ('k${int(50)}', ${int(99)}) on conflict (name) do update set n = excluded.n`,
      () => `update ${item} set id = ${300 + int(100)} where id = ${int(300)} and not exists (select 1 from ${item} where id >= 300)`,
    ];
    while (!over.signal.aborted) {
      await node.write(pick(statements)()).catch((error) => {
        // two writers of the same rows may meet in a deadlock, replicator or not: the loser tries something else
        if (error.code !== DEADLOCK) throw error;
      });
      writes += 1;
      // a SQLite write leaves nobody else a turn
      await sleep(1, over.signal);
    }
  };
  const writers = [writer(pair.parent, above, 1), writer(pair.child, below, 2)];
  const stop = async (): Promise<number> => {
    over.abort();
    await Promise.all([...writers, running]);
    return writes;
  };
  return { pair, stop };
}

const tablesOf = (engine: Engine): readonly [string, string] => (engine === "postgres" ? ["public.item", "public.tag"] : ["item", "tag"]);

test.each(PAIRS)(
  "%s above %s: comparing over and over under conflicting writes of all kinds reports nothing",
  { timeout: 120_000 },
  async (...engines) => {
    const { pair, stop } = await busyPair(engines);
    const until = performance.now() + SECONDS * 1000;
    let compared = 0;
    let writes = 0;
    try {
      while (performance.now() < until) {
        const { tables } = await comparedTables(pair.link.ends, null);
        const found = await compareLink(pair.link.ends, { tables, signal: new AbortController().signal, onProgress: () => {}, sleep });
        expect(found.flatMap(({ table, differences }) => differences.map(({ key, kind }) => `${table.name} ${key} ${kind}`))).toEqual([]);
        compared += 1;
      }
    } finally {
      writes = await stop();
    }
    expect(compared).toBeGreaterThan(1);
    expect(writes).toBeGreaterThan(SECONDS * 10);
  },
);

test.each(PAIRS)(
  "%s above %s: drift that is repaired under such writes ends with two equal nodes",
  { timeout: 120_000 },
  async (...engines) => {
    const { pair, stop } = await busyPair(engines);
    const [item, tag] = tablesOf(engines[1]);
    const until = performance.now() + SECONDS * 1000;
    let repaired = 0;
    try {
      for (let round = 0; performance.now() < until || round < 2; round++) {
        const at = 1000 + round * 10;
        await drift(
          pair.child,
          `insert into ${item} values (${at}, 'surplus', 1), (${at + 1}, 'surplus', 2); update ${tag} set n = -1 where name < 'k3'`,
        );
        const report = await reconciled(pair, {
          repair: round % 2 === 0 ? "parent" : "newest",
          guard: { maxRows: null, maxPercent: 100 },
          carry: async () => {},
        });
        repaired += report.tables.reduce((sum, table) => sum + table.repaired, 0);
      }
    } finally {
      await stop();
    }
    await pair.settle();
    // what was under way at the time of a repair may still be drift
    await reconciled(pair, { repair: "parent", guard: { maxRows: null, maxPercent: 100 } });
    await pair.settle();
    for (const [table, columns] of [
      ["item", "id, name, qty"],
      ["tag", "name, n"],
    ] as const) {
      const rows = async (node: TestNode, engine: Engine): Promise<string[]> =>
        (await node.rows(`select ${columns} from ${engine === "postgres" ? `public.${table}` : table}`)).map((row) => row.join()).sort();
      expect(await rows(pair.child, engines[1])).toEqual(await rows(pair.parent, engines[0]));
    }
    expect(repaired).toBeGreaterThan(0);
  },
);
