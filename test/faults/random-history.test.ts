import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { startEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { durableServer, withClient } from "../helpers/postgres.ts";
import { Oracle } from "./oracle.ts";
import { postgresWriter, sqliteWriter } from "./writer.ts";

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
    tables: [ { name: note, conflict: newest_wins } ]
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
    for (const { url } of [hub, replica])
      await withClient(url, (client) => client.query("create table public.note (id text primary key, body text not null)"));
    for (const name of STORES) {
      const store = new Database(join(directory, `${name}.db`));
      store.exec("pragma journal_mode = wal; create table note (id text primary key not null, body text not null)");
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
        killServer(server.directory);
        await delay(300 * random());
        await restart(server);
      }
    }
    await Promise.all(writers.map((writer) => writer.stop()));
    run.kill("SIGKILL");
    // twice: what the first round's verdicts changed reaches the others in the second
    for (let round = 0; round < 3; round++) {
      const synced = tombolo(directory, "sync");
      expect(synced.status, synced.stdout + synced.stderr).toBe(0);
    }
    const rows = async (url: string): Promise<string> => withClient(url, async (client) => JSON.stringify((await client.query(ROWS)).rows));
    const expected = await rows(hub.url);
    const differing = [
      ...differences("replica", await rows(replica.url), expected),
      ...STORES.flatMap((name) => differences(name, storeRows(join(directory, `${name}.db`)), expected)),
    ];
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
    const final = new Set((JSON.parse(expected) as { body: string }[]).map((row) => row.body));
    const recorded = await withClient(hub.url, async (client) => JSON.stringify((await client.query(RECORDED)).rows));
    expect(oracle.size).toBeGreaterThan(100);
    expect(oracle.lost(final, recorded.replaceAll('\\"', '"')), `writes lost (seed ${seed})`).toEqual([]);
  } finally {
    run?.kill("SIGKILL");
    await hub.remove();
    await replica.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Rows of a node that are not the hub's, as the node has them and as the hub has them. */
function differences(node: string, rows: string, expected: string): unknown[] {
  const parse = (text: string) => new Map((JSON.parse(text) as { id: string; body: string }[]).map(({ id, body }) => [id, body]));
  const [own, hub] = [parse(rows), parse(expected)];
  return [...new Set([...own.keys(), ...hub.keys()])]
    .filter((id) => own.get(id) !== hub.get(id))
    .map((id) => ({ node, id, has: own.get(id), hub: hub.get(id) }));
}

const ROWS = 'select id, body from public.note order by id collate "C"';
const RECORDED = `select parent_row::text, child_row::text, base_row::text from tombolo.conflict_history
  union all select old::text, new::text, key::text from tombolo.parked_change`;

function storeRows(path: string): string {
  const store = new Database(path, { readonly: true });
  const rows = store.prepare("select id, body from note order by id").all();
  store.close();
  return JSON.stringify(rows);
}

function killServer(directory: string): void {
  const [pid] = readFileSync(join(directory, "pgdata", "postmaster.pid"), "utf8").split("\n");
  process.kill(Number(pid), "SIGKILL");
}

/** On the same port. The killed server's children may hold its shared memory for a moment. */
async function restart(server: { readonly directory: string; readonly url: string }): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await startEmbedded({ directory: server.directory, port: Number(new URL(server.url).port) });
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await delay(200);
    }
  }
}

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
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
