import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { freePort } from "../helpers/command.ts";
import { killServer, restartServer } from "../helpers/crash.ts";
import { durableServer, withClient } from "../helpers/postgres.ts";
import { Oracle } from "./oracle.ts";
import { COUNTERS, postgresWriter, SCHEMA, sqliteWriter } from "./writer.ts";

const FULL = process.env.TOMBOLO_FAULTS === "full";
const HISTORIES = FULL ? 10 : 1;
const FAULTS = FULL ? 12 : 5;
const STORES = ["store-1", "store-2"];
const COMMAND = join(import.meta.dirname, "../../dist/replicator/main.js");

const topology = (hub: string, replica: string, port: number): string => `version: 1
name: faults
nodes:
  - { name: hub, type: postgres, url: "${hub}" }
  - { name: replica, type: postgres, url: "${replica}" }
${STORES.map((name) => `  - { name: ${name}, type: sqlite, path: ./${name}.db }`).join("\n")}
channels:
  - name: notes
    tables:
      - { name: note, conflict: newest_wins }
      - { name: badge, conflict: newest_wins }
      - { name: tally, conflict: { policy: merge, columns: { n: counter } } }
links:
${["replica", ...STORES].map((name) => `  - { parent: hub, child: ${name}, channels: [ { name: notes, direction: both } ] }`).join("\n")}
retry: { initial: 50ms, factor: 2, max: 500ms, jitter: true }
metrics: { listen: 127.0.0.1:${port} }
`;

/** The random numbers of a run: the same seed makes the same writes and the same faults. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const tombolo = (directory: string, ...args: string[]) =>
  spawnSync(process.execPath, [COMMAND, "-c", join(directory, "topology.yaml"), ...args], { encoding: "utf8", timeout: 120_000 });

async function history(seed: number): Promise<void> {
  const random = seeded(seed);
  const directory = mkdtempSync(join(tmpdir(), "tombolo-faults-"));
  const hub = await durableServer();
  const replica = await durableServer();
  const oracle = new Oracle();
  let run: ChildProcess | undefined;
  try {
    for (const { url } of [hub, replica]) await withClient(url, (client) => client.query(SCHEMA));
    await withClient(hub.url, (client) => client.query("insert into tally (id, n) select unnest($1::text[]), 0", [COUNTERS]));
    for (const name of STORES) {
      const store = new Database(join(directory, `${name}.db`));
      store.exec(`pragma journal_mode = wal; ${SCHEMA}`);
      store.close();
    }
    writeFileSync(join(directory, "topology.yaml"), topology(hub.url, replica.url, await freePort()));
    const applied = tombolo(directory, "apply", "--yes");
    expect(applied.status, applied.stderr).toBe(0);
    const start = (): ChildProcess =>
      spawn(process.execPath, [COMMAND, "-c", join(directory, "topology.yaml"), "run"], {
        stdio: ["ignore", "ignore", openSync(join(directory, "run.log"), "a")],
      });
    run = start();
    const writers = [
      postgresWriter(hub.url, { node: "hub", oracle, random, pauseMs: 8 }),
      postgresWriter(replica.url, { node: "replica", oracle, random, pauseMs: 20 }),
      ...STORES.map((node) => sqliteWriter(join(directory, `${node}.db`), { node, oracle, random, pauseMs: 20 })),
    ];
    for (let fault = 0; fault < FAULTS; fault++) {
      await delay(500 + 1_500 * random());
      if (random() < 0.6) {
        run.kill("SIGKILL");
        run = start();
      } else {
        const server = random() < 0.5 ? hub : replica;
        await killServer(server.directory);
        await delay(300 * random());
        await restartServer(server);
      }
    }
    await Promise.all(writers.map((writer) => writer.stop()));
    run.kill("SIGKILL");
    // twice: what the first round's verdicts changed reaches the others in the second
    for (let round = 0; round < 3; round++) {
      const synced = tombolo(directory, "sync");
      expect(synced.status, synced.stdout + synced.stderr).toBe(0);
    }
    const places = [
      { node: "hub", ...(await inPostgres(hub.url)) },
      { node: "replica", ...(await inPostgres(replica.url)) },
      ...(await Promise.all(STORES.map(async (node) => ({ node, ...(await inStore(join(directory, `${node}.db`))) })))),
    ];
    const [{ rows: expected }, ...children] = places as [Place, ...Place[]];
    // what is parked is where its sender has it, and nowhere else
    const parked = new Set(places.flatMap((place) => place.parked));
    const differing = children.flatMap((child) => differences(child, expected).filter(({ row }) => !parked.has(row)));
    if (differing.length > 0 && process.env.TOMBOLO_KEEP !== undefined) {
      cpSync(directory, process.env.TOMBOLO_KEEP, { recursive: true });
      await withClient(hub.url, async (client) => {
        const { rows: log } = await client.query(
          "select seq, xid, op, origin, target, changed_at, key, old, new from tombolo.change order by seq",
        );
        const { rows: ticks } = await client.query("select * from tombolo.tick order by position");
        const { rows: peers } = await client.query("select * from tombolo.peer");
        const { rows: conflicts } = await client.query("select * from tombolo.conflict_history");
        writeFileSync(join(process.env.TOMBOLO_KEEP as string, "hub.json"), JSON.stringify({ log, ticks, peers, conflicts }, null, 1));
      });
    }
    expect(differing, `rows that differ from the hub's (seed ${seed})`).toEqual([]);
    const final = new Set(places.flatMap(({ rows }) => [...rows.values()].map((value) => value.split(" ")[0] as string)));
    const recorded = places.map((place) => place.recorded).join("\n");
    expect(oracle.size).toBeGreaterThan(100);
    expect(oracle.lost(final, recorded), `writes lost (seed ${seed})`).toEqual([]);
    const sums = new Map(COUNTERS.map((id) => [id, places.reduce((sum, { added }) => sum + (added.get(id) ?? 0), 0)]));
    for (const { node, counters } of places) expect(counters, `counters of ${node} (seed ${seed})`).toEqual(sums);
    console.log(`${oracle.size} writes, ${parked.size} rows parked, counters ${[...sums.values()].join(" and ")}`);
  } finally {
    run?.kill("SIGKILL");
    await hub.remove();
    await replica.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A node in the end. */
interface Place {
  readonly node: string;
  /** `table id`, and the value. */
  readonly rows: ReadonlyMap<string, string>;
  readonly counters: ReadonlyMap<string, number>;
  readonly added: ReadonlyMap<string, number>;
  /** `table id` of rows that have parked changes. */
  readonly parked: readonly string[];
  /** All images of conflicts and parked changes. */
  readonly recorded: string;
}

/** Rows of a node that are not the hub's, as the node has them and as the hub has them. */
function differences(
  { node, rows }: Place,
  expected: Place["rows"],
): { node: string; row: string; has: string | undefined; hub: string | undefined }[] {
  return [...new Set([...rows.keys(), ...expected.keys()])]
    .filter((row) => rows.get(row) !== expected.get(row))
    .map((row) => ({ node, row, has: rows.get(row), hub: expected.get(row) }));
}

const ROWS = "select 'note ' || id, body from note union all select 'badge ' || id, body || coalesce(' ' || code, '') from badge";
const COUNTED = "select id, n from tally";
const ADDED = "select id, cast(sum(n) as integer) from added group by id";
const parkedAt = (prefix: string): string => `select table_name, cast(key as text) from ${prefix}parked_change`;
const recordedAt = (
  prefix: string,
): string => `select cast(parent_row as text), cast(child_row as text), cast(base_row as text) from ${prefix}conflict_history
  union all select cast(old as text), cast(new as text), cast(key as text) from ${prefix}parked_change`;

type Read = (sql: string) => Promise<unknown[][]> | unknown[][];

async function placeOf(read: Read, prefix: string): Promise<Omit<Place, "node">> {
  const pairs = async (sql: string) => new Map((await read(sql)) as [string, never][]);
  const parked = (await read(parkedAt(prefix))) as [string, string][];
  return {
    rows: await pairs(ROWS),
    counters: await pairs(COUNTED),
    added: await pairs(ADDED),
    parked: parked.map(([table, key]) => `${table} ${(JSON.parse(key) as { id: string }).id}`),
    recorded: (await read(recordedAt(prefix))).flat().map(String).join("\n"),
  };
}

const inPostgres = (url: string): Promise<Omit<Place, "node">> =>
  withClient(url, (client) => placeOf(async (text) => (await client.query({ text, rowMode: "array" })).rows, "tombolo."));

async function inStore(path: string): Promise<Omit<Place, "node">> {
  const store = new Database(path, { readonly: true });
  try {
    return await placeOf((sql) => store.prepare(sql).raw().all() as unknown[][], "tombolo_");
  } finally {
    store.close();
  }
}

test("random writers on all nodes, the replicator and the servers killed at random: afterwards all nodes are equal and no write is unaccounted for", {
  timeout: 600_000 * HISTORIES,
}, async () => {
  // the short run is always the same one; the long one explores
  const seed = Number(process.env.TOMBOLO_SEED ?? (FULL ? Math.floor(Math.random() * 2 ** 31) : 1));
  for (let index = 0; index < HISTORIES; index++) {
    console.log(`history ${index + 1} of ${HISTORIES}: TOMBOLO_SEED=${seed + index}`);
    await history(seed + index);
  }
});
