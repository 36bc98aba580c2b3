import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Client } from "pg";
import { type Environment, type Finished, freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { freshDatabase } from "../helpers/postgres.ts";

/** A Postgres hub, a Postgres replica and a SQLite store below it, joined by a topology file, both ways. */
export interface World {
  readonly folder: string;
  readonly env: Environment;
  readonly hub: Client;
  readonly replica: Client;
  readonly store: Database.Database;
  readonly storePath: string;
  /** Where `run` serves metrics. */
  readonly url: string;
  command(...args: string[]): Promise<Finished>;
  /** `apply --yes`; throws unless it ends with 0. */
  apply(): Promise<void>;
  run(env?: Environment): Started;
  metrics(): Promise<string>;
  close(): Promise<void>;
}

export interface WorldOptions {
  /** Names of tables, all in schema public. */
  readonly tables: readonly string[];
  readonly postgres: string;
  readonly sqlite: string;
  /** The role of the topology owns the tables and nothing else. */
  readonly bareRole?: boolean;
  readonly storePath?: string;
  readonly conflict?: string;
  /** Further lines of the topology. */
  readonly more?: readonly string[];
  /** How the Postgres nodes capture; by triggers unless it is said. */
  readonly capture?: "trigger" | "slot";
  /** Other databases than fresh ones of the shared server. */
  readonly hubUrl?: string;
  readonly replicaUrl?: string;
}

export async function openWorld(options: WorldOptions): Promise<World> {
  const { bareRole = false } = options;
  const folder = mkdtempSync(join(tmpdir(), "tombolo-world-"));
  const databases = await Promise.all(
    [options.hubUrl, options.replicaUrl].map(async (url) =>
      url === undefined ? freshDatabase({ bareRole }) : { url, drop: async (): Promise<void> => undefined },
    ),
  );
  const [hub, replica] = databases.map(({ url }) => new Client({ connectionString: url })) as [Client, Client];
  for (const client of [hub, replica]) {
    client.on("error", () => undefined);
    await client.connect();
    if (bareRole) await client.query("create schema public_own; set search_path = public_own");
    await client.query(options.postgres);
  }
  const storePath = options.storePath ?? join(folder, "store.db");
  const store = new Database(storePath, { timeout: 5_000 });
  store.exec(`pragma journal_mode = wal; ${options.sqlite}`);
  const port = await freePort();
  const file = join(folder, "topology.yaml");
  writeFileSync(file, topology({ ...options, storePath, schema: bareRole ? "public_own" : "public" }));
  const env = { HUB_URL: databases[0]?.url ?? "", REPLICA_URL: databases[1]?.url ?? "", METRICS_PORT: String(port) };
  const started: Started[] = [];
  const command = (...args: string[]): Promise<Finished> => tombolo(["-c", file, ...args], env);
  const url = `http://127.0.0.1:${port}`;
  return {
    folder,
    env,
    hub,
    replica,
    store,
    storePath,
    url,
    command,
    async apply() {
      const { code, stdout, stderr } = await command("apply", "--yes");
      if (code !== 0) throw new Error(`apply ended with ${code}: ${stdout}${stderr}`);
    },
    run(more = {}) {
      const replicator = start(["-c", file, "run", "--log-format", "json"], { ...env, ...more });
      started.push(replicator);
      return replicator;
    },
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    async close() {
      for (const each of started) if (each.process.exitCode === null && each.process.signalCode === null) await each.stop("SIGKILL");
      store.close();
      for (const client of [hub, replica]) await client.end();
      for (const database of databases) await database.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Integers read alike from both engines: as numbers where those are exact, else as text. */
const text = (value: unknown): string => JSON.stringify(value, (_, each) => (typeof each === "bigint" ? plain(each) : each));
const plain = (value: bigint): number | string => (Number.isSafeInteger(Number(value)) ? Number(value) : value.toString());

/** Rows of a node as one text, values as the node's driver gives them. */
export async function rowsOf(node: Client | Database.Database, sql: string): Promise<string> {
  if (node instanceof Client) return text((await node.query({ text: sql, rowMode: "array" })).rows);
  return text(node.prepare(sql).raw().safeIntegers().all());
}

/** Waits until the query answers the same everywhere; the failure shows what each has. */
export async function equal(nodes: readonly (Client | Database.Database)[], sql: string, timeoutMs = 30_000): Promise<void> {
  await until(
    `${sql} is the same everywhere`,
    async () => {
      const all = await Promise.all(nodes.map((node) => rowsOf(node, sql)));
      if (new Set(all).size === 1) return true;
      throw new Error(all.map((rows) => rows.slice(0, 400)).join("\n"));
    },
    timeoutMs,
  );
}

function topology({
  tables,
  storePath,
  conflict,
  schema,
  capture = "trigger",
  more = [],
}: WorldOptions & { storePath: string; schema: string }): string {
  const policy = conflict ?? "parent_wins";
  return [
    "version: 1",
    "name: world",
    "nodes:",
    `  - { name: hub, type: postgres, url: "\${HUB_URL}", capture: ${capture} }`,
    `  - { name: replica, type: postgres, url: "\${REPLICA_URL}", capture: ${capture} }`,
    `  - { name: store, type: sqlite, path: ${storePath} }`,
    "channels:",
    "  - name: all",
    "    tables:",
    ...tables.map((name) => `      - { name: ${schema}.${name}, conflict: ${policy} }`),
    "links:",
    ...["replica", "store"].map((child) => `  - { parent: hub, child: ${child}, channels: [ { name: all, direction: both } ] }`),
    "retry: { initial: 100ms, max: 1s }",
    ...more,
    `metrics: { listen: "127.0.0.1:\${METRICS_PORT}" }`,
    "",
  ].join("\n");
}
