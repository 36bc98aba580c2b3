import { setImmediate as breathe, setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { nodeName, type Position } from "../../replicator/change/names.ts";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { readWindow, type WindowRequest } from "../../replicator/node/postgres/read.ts";
import { type SharedLimits, SharedReads } from "../../replicator/node/postgres/shared-reads.ts";
import { postgresNode, type TestNode } from "../helpers/nodes.ts";

const READERS = ["a", "b", "c", "d", "e"].map(nodeName);
const ROOMY: SharedLimits = { totalBytes: 1 << 20, windowBytes: 1 << 18, patienceMs: 1_000 };
/** Nothing has room, and nobody waits for anybody. */
const TIGHT: SharedLimits = { totalBytes: 8_000, windowBytes: 300, patienceMs: 2 };

let hub: TestNode & { readonly database: { readonly url: string } };
let pool: pg.Pool;
let table: string;
let peers: number[];

beforeAll(async () => {
  hub = await postgresNode("hub", "create table public.event (id bigint primary key, note text)", [{ name: "event" }], {
    capture: "trigger",
  });
  await hub.node.target.meet(READERS.map((name) => ({ name, role: "child" })));
  pool = createPool({ url: hub.database.url });
  table = (await hub.rows("select id from tombolo.captured_table"))[0]?.[0] as string;
  peers = (await hub.rows("select id from tombolo.peer order by name")).map(([id]) => Number(id));
});
afterAll(async () => {
  await pool.end();
  await hub.close();
});

/** `SharedReads` over the real log, and how often that was read. */
function counted(limits: SharedLimits): { reads: SharedReads; made(): number } {
  let made = 0;
  const read = (request: WindowRequest): AsyncGenerator<readonly Change[]> => {
    made += 1;
    return readWindow(pool, "tombolo", request);
  };
  return { reads: new SharedReads({ read, limits }), made: () => made };
}

const request = (reader: number, after: Position, upTo: Position, maxRows = 3) => ({
  peerId: peers[reader] as number,
  tables: new Map([[table, 0]]),
  excluded: new Map(),
  after,
  upTo,
  maxRows,
  maxBytes: 100,
});

const told = ({ op, key, old, new: now }: Change): string => `${op} ${key} ${old} ${now}`;

async function all(groups: AsyncIterable<readonly Change[]>, pause: () => Promise<unknown> = async () => {}): Promise<string[]> {
  const changes: string[] = [];
  for await (const group of groups) {
    changes.push(...group.map(told));
    await pause();
  }
  return changes;
}

let next = 1;
/** One transaction of the application, what came from a reader, or what is for one alone. */
async function log(entry: { readonly rows: number; readonly from: number | null; readonly only: number | null; readonly seed: boolean }) {
  const { rows, from, only, seed } = entry;
  if (from === null && only === null) {
    await hub.write(`insert into public.event select i, 'n' from generate_series(${next}, ${next + rows - 1}) i`);
  } else {
    await hub.write(`insert into tombolo.change (seq, table_id, op, segment, origin, target, key, new)
      select ${seed && only !== null ? "0" : "nextval('tombolo.change_seq')"}, ${table}, 'R', s.segment, ${from === null ? "null" : peers[from]},
             ${only === null ? "null" : peers[only]}, tombolo.hstore('id', i::text), tombolo.hstore('id', i::text)
        from tombolo.log_state s, generate_series(${next}, ${next + rows - 1}) i`);
  }
  next += rows;
}

const reader = fc.nat(READERS.length - 1);
const entry = fc.record({
  rows: fc.integer({ min: 1, max: 12 }),
  from: fc.option(reader),
  only: fc.option(reader, { freq: 2 }),
  seed: fc.boolean(),
});
/** A read between two of the ticks, at a pace of its own; some stop before the end. */
const read = fc.record({
  reader,
  from: fc.nat(),
  to: fc.nat(),
  pace: fc.constantFrom("at once", "breathes", "slow"),
  stopsAfter: fc.option(fc.nat(4), { freq: 4 }),
  startsAfterMs: fc.nat(3),
});

for (const [kind, limits] of Object.entries({ "room for all": ROOMY, "hardly any room": TIGHT })) {
  test(`with ${kind}, every reader is given what it would have read alone, in that order, whatever the others read and whoever stops`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(entry, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
        fc.array(read, { minLength: 2, maxLength: 12 }),
        async (windows, wishes) => {
          const ticks = [(await hub.node.log.tick()).position];
          for (const entries of windows) {
            for (const each of entries) await log(each);
            ticks.push((await hub.node.log.tick()).position);
          }
          const { reads } = counted(limits);
          try {
            await Promise.all(
              wishes.map(async (wish) => {
                const from = wish.from % (ticks.length - 1);
                const to = from + 1 + (wish.to % (ticks.length - 1 - from));
                const wanted = request(wish.reader, ticks[from] as Position, ticks[to] as Position);
                const alone = await all(readWindow(pool, "tombolo", wanted));
                await delay(wish.startsAfterMs);
                const pause = wish.pace === "at once" ? undefined : wish.pace === "slow" ? () => delay(4) : () => breathe();
                if (wish.stopsAfter === null) expect((await all(reads.read(wanted), pause)).toSorted(byPlace(alone))).toEqual(alone);
                else {
                  const some: string[] = [];
                  let left = wish.stopsAfter;
                  for await (const group of reads.read(wanted)) {
                    some.push(...group.map(told));
                    if (left-- === 0) break;
                  }
                  expect(alone).toEqual(expect.arrayContaining(some));
                }
              }),
            );
          } finally {
            reads.forget();
          }
        },
      ),
      { numRuns: Number(process.env.TOMBOLO_RUNS ?? 15) },
    );
  });
}

/** Seeds have no order among themselves, and a reading by windows has that of the windows: each once is what counts for those. */
const byPlace =
  (order: readonly string[]) =>
  (a: string, b: string): number =>
    order.indexOf(a) - order.indexOf(b);

test("fifty readers at one position cost two readings: the first cannot know of the others", async () => {
  const from = (await hub.node.log.tick()).position;
  await hub.node.target.meet(Array.from({ length: 50 }, (_, at) => ({ name: nodeName(`many-${at}`), role: "child" })));
  await log({ rows: 200, from: null, only: null, seed: false });
  const upTo = (await hub.node.log.tick()).position;
  const { reads, made } = counted({ ...ROOMY, windowBytes: 1 << 17 });
  const ids = (await hub.rows("select id from tombolo.peer where name like 'many-%'")).map(([id]) => Number(id));
  const read = (peerId: number): Promise<string[]> => all(reads.read({ ...request(0, from, upTo), peerId }));
  const everyone = await Promise.all(ids.map(read));
  expect(everyone.map((changes) => changes.length)).toEqual(ids.map(() => 200));
  expect(made()).toBe(2);
  expect(reads.counts).toEqual({ made: 2, spared: 48 });
  reads.forget();
});

test("what fails for the one who reads for all fails for all who read it, and for nobody after", async () => {
  const from = (await hub.node.log.tick()).position;
  await log({ rows: 30, from: null, only: null, seed: false });
  const upTo = (await hub.node.log.tick()).position;
  let failing = true;
  const reads = new SharedReads({
    limits: ROOMY,
    async *read(window) {
      yield* readWindow(pool, "tombolo", window);
      if (failing && window.peerId === null) throw new Error("the database is away");
    },
  });
  await all(reads.read(request(0, from, upTo)));
  const both = await Promise.allSettled([all(reads.read(request(1, from, upTo))), all(reads.read(request(2, from, upTo)))]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  failing = false;
  expect(await all(reads.read(request(1, from, upTo)))).toHaveLength(30);
  reads.forget();
});

test("a reader that stands still holds up the others for a moment, and misses nothing", async () => {
  const from = (await hub.node.log.tick()).position;
  await log({ rows: 300, from: null, only: null, seed: false });
  const upTo = (await hub.node.log.tick()).position;
  const { reads } = counted({ ...TIGHT, totalBytes: 100_000, windowBytes: 500 });
  await all(reads.read(request(0, from, upTo)));
  const standing = reads.read(request(1, from, upTo))[Symbol.asyncIterator]();
  const first = (await standing.next()).value as readonly Change[];
  expect(await all(reads.read(request(2, from, upTo)))).toHaveLength(300);
  const rest: Change[] = [];
  for (let step = await standing.next(); step.done !== true; step = await standing.next()) rest.push(...step.value);
  expect(first.length + rest.length).toBe(300);
  expect(new Set([...first, ...rest].map(told)).size).toBe(300);
  reads.forget();
});
