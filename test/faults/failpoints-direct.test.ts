import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Failpoint } from "../../replicator/change/failpoints.ts";
import { type Application, postgresApplication, sqliteApplication } from "../helpers/application.ts";
import { type Environment, freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";
import { random } from "../helpers/random.ts";

const FULL = process.env.TOMBOLO_FAULTS !== "smoke";
const SEED = Number(process.env.TOMBOLO_SEED ?? 1);
/** Of all cases of a way to capture, so many are tried in the smoke test. */
const SMOKE = 8;
const HITS = [1, 3];
/** So many times all nodes are written to while the replicator is to die. */
const ROUNDS = 6;

const DDL = `create table item (id bigint primary key not null, note text);
create table sum (id bigint primary key not null, n bigint);
create table named (id bigint primary key not null, name text unique);
create table all_write (id bigint primary key not null, note text)`;

/** A replicator between a Postgres hub, a Postgres replica and a SQLite store comes to these; parked changes and refreshes are made by what is written. */
const STEADY: readonly Failpoint[] = [
  ...(["target.apply:before", "apply.part", "apply.before_commit", "target.apply:after"] as const),
  ...(["parked.before_commit", "target.retryParked:after"] as const),
  ...(["log.tick:before", "log.tick:after", "log.acknowledge:before", "log.acknowledge:after"] as const),
  ...(["log.refresh:before", "log.refresh:after"] as const),
];
/** Only when two nodes meet. */
const BEGINNINGS: readonly Failpoint[] = ["target.meet:after", "target.start:after"];

interface Case {
  readonly name: Failpoint;
  readonly hit: number;
}

function cases(): Case[] {
  const all = HITS.flatMap((hit) => STEADY.map((name) => ({ name, hit })));
  if (FULL) return all;
  const { int } = random(SEED);
  return Array.from({ length: SMOKE }, () => all.splice(int(all.length), 1)[0] as Case);
}

describe.each(["trigger", "slot"] as const)("a hub that captures by %s, a replica and a store", (capture) => {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-direct-"));
  const databases: FreshDatabase[] = [];
  const nodes: Application[] = [];
  let replicator: Started | undefined;
  let id = 0;
  let sum = 0;
  const items: string[] = [];
  let taken: number[] = [];

  const topology = join(folder, "topology.yaml");
  const run = (env: Environment = {}): Started => start(["-c", topology, "run", "--log-format", "json"], env);
  const hasEnded = (): boolean =>
    replicator === undefined || replicator.process.exitCode !== null || replicator.process.signalCode !== null;
  const [hub, store] = [() => nodes[0] as Application, () => nodes[2] as Application];

  beforeAll(async () => {
    databases.push(await freshDatabase(), await freshDatabase());
    for (const { url } of databases) nodes.push(await postgresApplication(url));
    nodes.push(sqliteApplication(join(folder, "store.db")));
    for (const node of nodes) await node.write(DDL);
    writeFileSync(
      topology,
      `version: 1
name: direct
nodes:
  - { name: hub, type: postgres, url: "${databases[0]?.url}", capture: ${capture} }
  - { name: replica, type: postgres, url: "${databases[1]?.url}" }
  - { name: store, type: sqlite, path: ./store.db }
channels:
  - name: all
    tables:
      - { name: item, conflict: child_wins }
      - { name: sum, conflict: { policy: merge, columns: { n: counter } } }
      - { name: named, conflict: child_wins }
      - { name: all_write, conflict: parent_wins }
links:
  - { parent: hub, child: replica, channels: [ { name: all, direction: both } ] }
  - { parent: hub, child: store, channels: [ { name: all, direction: both } ] }
retry: { initial: 50ms, factor: 2, max: 500ms, jitter: true }
metrics: { listen: 127.0.0.1:${await freePort()} }
`,
    );
    await hub().write("insert into sum values (1, 0); insert into all_write values (1, 'first')");
    const applied = await tombolo(["-c", topology, "apply", "--yes"]);
    expect(applied.code, applied.stderr).toBe(0);
  }, 120_000);
  afterAll(async () => {
    await replicator?.stop("SIGKILL");
    for (const node of nodes) await node.close();
    for (const database of databases) await database.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Every node adds rows and counts; one of two rows of one name is set aside until the hub's is gone; all write one row. */
  async function round(): Promise<void> {
    for (const [at, node] of nodes.entries()) {
      const ids = [++id, ++id, ++id];
      await node.write(ids.map((each) => `insert into item values (${each}, 'node ${at}'); update sum set n = n + 1`).join("; "));
      items.push(...ids.map((each) => `${each} node ${at}`));
      sum += ids.length;
    }
    const [theirs, ours] = [++id, ++id];
    await store().write(`insert into named values (${theirs}, 'name ${theirs}')`);
    await hub().write(`insert into named values (${ours}, 'name ${theirs}')`);
    taken.push(ours);
    for (const [at, node] of nodes.entries()) await node.write(`update all_write set note = 'node ${at}, ${id}'`);
  }

  async function wrong(all: boolean): Promise<string[]> {
    const found: string[] = [];
    const sorted = items.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    for (const [at, node] of nodes.entries()) {
      const rows = await node.rows("select id, note from item order by id");
      if (JSON.stringify(rows) !== JSON.stringify(sorted)) found.push(`node ${at} has ${rows.length} items of ${sorted.length}`);
      const [counted] = await node.rows("select n from sum");
      if (counted !== String(sum)) found.push(`node ${at} has counted ${counted} of ${sum}`);
      if (!all) continue;
      for (const sql of ["select id, name from named order by id", "select note from all_write"]) {
        const [mine, theirs] = [await node.rows(sql), await hub().rows(sql)];
        if (JSON.stringify(mine) !== JSON.stringify(theirs)) found.push(`node ${at} differs: ${sql}`);
      }
    }
    return found;
  }

  async function equal(): Promise<void> {
    if (taken.length > 0) await hub().write(`delete from named where id in (${taken.join(", ")})`);
    taken = [];
    let last: string[] = [];
    await until(
      "all have all, and count it once",
      async () => {
        last = await wrong(true);
        return last.length === 0;
      },
      120_000,
    ).catch((cause: unknown) => {
      throw new Error(`${last.join("\n")}\n${replicator?.stderr().slice(-2_000)}`, { cause });
    });
  }

  test.each(BEGINNINGS)("the replicator dies at %s, when two nodes meet", { timeout: 120_000 }, async (name) => {
    await replicator?.stop("SIGKILL");
    replicator = run({ TOMBOLO_FAILPOINT: `${name}:1` });
    // the second of them may have been passed by the first's process
    await until("it has died, or is at work", async () => hasEnded() || (await wrong(false)).length === 0, 60_000);
    await replicator.stop("SIGKILL");
    replicator = run();
    await until(
      "both children are filled",
      async () => (await Promise.all(nodes.map((node) => node.rows("select 1 from sum")))).every(({ length }) => length > 0),
      60_000,
    );
  });

  test.each(cases().map(({ name, hit }) => [name, hit] as const))(
    "the replicator dies at %s, hit %d",
    { timeout: 240_000 },
    async (name, hit) => {
      await replicator?.stop("SIGTERM");
      replicator = run({ TOMBOLO_FAILPOINT: `${name}:${hit}` });
      for (let count = 0; count < ROUNDS && !hasEnded(); count++) {
        await round();
        await until("it has died, or has moved the round", async () => hasEnded() || (await wrong(false)).length === 0, 60_000);
      }
      await until("it dies at rest", hasEnded, 5_000).catch(() => undefined);
      const died = replicator.process.signalCode === "SIGKILL";
      if (!died) {
        await replicator.stop("SIGTERM");
        console.log(`${capture}: ${name} was not reached ${hit} times`);
      }
      replicator = run();
      await equal();
      expect(hit > 1 || died).toBe(true);
    },
  );
});
