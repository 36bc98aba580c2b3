import { describe, expect, test } from "vitest";
import { edgeWorld, type TestEdge } from "../helpers/edge-world.ts";
import { type Fate, faultyProxy } from "../helpers/faulty-proxy.ts";
import { both } from "../helpers/pair.ts";
import { random } from "../helpers/random.ts";

const FULL = process.env.TOMBOLO_FAULTS !== "smoke";
/** An hour is TOMBOLO_BAD_LINE_SECONDS=3600. */
const SECONDS = Number(process.env.TOMBOLO_BAD_LINE_SECONDS ?? (FULL ? 60 : 5));
const SEED = Number(process.env.TOMBOLO_SEED ?? 1);
const EDGES = 3;
/** Of the connections, so many lose the answer, cut it off, or bring the request twice. */
const BAD = 0.3;
const KINDS = ["lose answer", "truncate", "repeat"] as const;

const SCHEMA = both("create table item (id text primary key not null, note text); create table sum (id bigint primary key, n bigint)");
const TABLES = [
  { name: "item", policy: "newest_wins" as const },
  { name: "sum", policy: "merge" as const, mergeColumns: { n: "counter" as const } },
];
const SIGNAL = new AbortController().signal;

/** Three edges and the application write the same row at once: one that is chosen to give way in a deadlock writes again, as applications do. */
async function patiently(write: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if ((error as { code?: string }).code !== "40P01") throw error;
    }
  }
}

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  test(`${SECONDS} s over a line that loses, cuts off or repeats three answers in ten: all end equal, and everything counts once`, {
    timeout: SECONDS * 1_000 + 300_000,
  }, async () => {
    const { chance, int, pick } = random(SEED);
    const world = await edgeWorld({ engine, schema: SCHEMA, tables: TABLES });
    let calm = false;
    const next = () => (calm || !chance(BAD) ? "none" : pick(KINDS));
    const proxy = await faultyProxy(world.hub.url, (): Fate => ({ kind: "each answer", next }));
    try {
      await world.database.write("insert into sum values (1, 0)");
      const edges: TestEdge[] = [];
      for (let at = 0; at < EDGES; at++) edges.push(await world.edge(`store-${at}`, { url: proxy.url }));
      const codes = new Map<string, number>();
      const written = { total: 0, rows: 0 };
      const until = performance.now() + SECONDS * 1_000;
      const live = async (edge: TestEdge, name: string): Promise<void> => {
        for (let round = 0; performance.now() < until || round < 3; round++) {
          await edge.write(
            `insert into item values ('${name}-${round}', '${"x".repeat(int(400))}');
             insert into item values ('shared', '${name} ${round}') on conflict (id) do update set note = excluded.note;
             update sum set n = n + 1`,
          );
          written.rows += 1;
          // before it is filled there is no row to count in
          if ((await edge.rows("select 1 from sum")).length > 0) written.total += 1;
          if (name === "store-0") {
            await patiently(() => world.database.write(`insert into item values ('hub-${round}', 'h'); update sum set n = n + 1000`));
            written.rows += 1;
            written.total += 1_000;
          }
          await edge.edge.sync(SIGNAL).catch((error: { code?: string }) => {
            const code = error.code ?? String(error);
            codes.set(code, (codes.get(code) ?? 0) + 1);
          });
        }
      };
      // what they count in is there before they begin
      calm = true;
      for (const edge of edges) await edge.edge.sync(SIGNAL);
      calm = false;
      await Promise.all(edges.map((edge, at) => live(edge, `store-${at}`)));
      calm = true;
      for (let round = 0; round < 3; round++) for (const edge of edges) await edge.edge.sync(SIGNAL);
      const all = "select * from item order by id";
      const expected = await world.database.rows(all);
      expect(expected).toHaveLength(written.rows + 1);
      expect(await world.database.rows("select n from sum")).toEqual([[String(written.total)]]);
      for (const edge of edges) {
        expect(await edge.rows(all)).toEqual(expected);
        expect(await edge.rows("select n from sum")).toEqual([[String(written.total)]]);
      }
      console.log(`${engine}: ${JSON.stringify([...proxy.fates])}, ${written.rows} rows, refused ${JSON.stringify([...codes])}`);
      // three edges that write the same two rows: one of two that wait for each other is asked to try again
      const harmless = ["HUB_UNREACHABLE", "PACKET_TRUNCATED", "PACKET_GAP", "EXCHANGE_INVALID", "POSTGRES_40P01"];
      expect([...codes.keys()].filter((code) => !harmless.includes(code))).toEqual([]);
    } finally {
      await proxy.close();
      await world.close();
    }
  });
});
