import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import pg from "pg";
import { type EmbeddedServer, startEmbedded } from "../replicator/node/postgres/embedded.ts";
import { PostgresStore } from "./stores/postgres.ts";
import { SqliteStore } from "./stores/sqlite.ts";
import { type Engine, POSTGRES_TABLE, SQLITE_TABLE, type Store } from "./stores/store.ts";

/**
 * As installed, but for room: checkpoints and a small cache would show as noise. Durable (fsync and synchronous_commit stay on).
 * max_wal_senders and slots are the default 10.
 */
export const SETTINGS: { readonly [name: string]: string } = {
  wal_level: "logical",
  shared_buffers: "256MB",
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
};

/** Two Postgres servers and a folder for SQLite files, that serve every system in turn with fresh databases. */
export class Clusters {
  readonly directory: string;
  readonly #servers: readonly EmbeddedServer[];
  #made = 0;

  private constructor(directory: string, servers: readonly EmbeddedServer[]) {
    this.directory = directory;
    this.#servers = servers;
  }

  static async start(): Promise<Clusters> {
    const directory = mkdtempSync(join(tmpdir(), "tombolo-bench-"));
    // the servers may run as another account
    chmodSync(directory, 0o711);
    const started: EmbeddedServer[] = [];
    try {
      for (const name of ["source", "target"]) started.push(await startEmbedded({ directory: join(directory, name), settings: SETTINGS }));
      return new Clusters(directory, started);
    } catch (error) {
      for (const server of started) await server.stop();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** A name that no database or file of this run has had yet. */
  freshName(): string {
    this.#made += 1;
    return `bench_${this.#made}`;
  }

  /** A database or file with an empty table `bench`. */
  async create(end: "source" | "target", engine: Engine, name: string): Promise<Store> {
    if (engine === "sqlite") {
      const path = join(this.directory, `${name}-${end}.db`);
      const database = new Database(path);
      database.pragma("journal_mode = wal");
      database.exec(SQLITE_TABLE);
      database.close();
      return new SqliteStore(path);
    }
    const server = this.#servers[end === "source" ? 0 : 1]!;
    // what earlier databases left to write must not fall into the time of this one
    await withClient(server.url, async (client) => {
      await client.query(`create database ${name}`);
      await client.query("checkpoint");
    });
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    await withClient(url.href, (client) => client.query(POSTGRES_TABLE));
    return PostgresStore.open(url.href);
  }

  /** Closes the store and removes what `create` made. */
  async drop(store: Store): Promise<void> {
    await store.close();
    if (store.engine === "sqlite") {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(`${store.location}${suffix}`, { force: true });
      return;
    }
    const url = new URL(store.location);
    const name = url.pathname.slice(1);
    url.pathname = "/postgres";
    await withClient(url.href, (client) => client.query(`drop database if exists ${name} with (force)`));
  }

  async version(): Promise<string> {
    return withClient(this.#servers[0]!.url, async (client) => {
      const { rows } = await client.query<{ server_version: string }>("show server_version");
      return rows[0]!.server_version;
    });
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) await server.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: "bench set-up" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
