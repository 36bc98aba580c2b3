import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import pg from "pg";
import { TomboloError } from "../replicator/change/error.ts";
import { type EmbeddedServer, startEmbedded } from "../replicator/node/postgres/embedded.ts";
import { PostgresStore } from "./stores/postgres.ts";
import { SqliteStore } from "./stores/sqlite.ts";
import type { Store } from "./stores/store.ts";
import { type Engine, schemaFor } from "./stores/tables.ts";
import { END_SUPERVISOR } from "./systems/extension.ts";
import type { Servers } from "./systems/system.ts";

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

/** Own servers, instead: URLs of superusers. Nothing of them is changed but for databases that are made and dropped again. */
const OWN_SERVERS = ["BENCH_SOURCE_URL", "BENCH_TARGET_URL"] as const;
/** What figures depend on, as the source has it. */
const TOLD = [...Object.keys(SETTINGS), "fsync", "synchronous_commit", "shared_preload_libraries"];

/** Two Postgres servers and a folder for SQLite files, that serve every system in turn with fresh databases. */
export class Clusters implements Servers {
  readonly directory: string;
  readonly #urls: readonly [string, string];
  readonly #servers: readonly EmbeddedServer[];
  #made = 0;

  private constructor(directory: string, urls: readonly [string, string], servers: readonly EmbeddedServer[]) {
    this.directory = directory;
    this.#urls = urls;
    this.#servers = servers;
  }

  /** Servers of its own, unless the environment names others. Throws `BENCH_USAGE` (usage) where it names only one. */
  static async start(): Promise<Clusters> {
    const [sourceUrl, targetUrl] = OWN_SERVERS.map((name) => process.env[name]);
    if ((sourceUrl === undefined) !== (targetUrl === undefined)) {
      const hint = "without them, two servers are started for the run";
      throw new TomboloError(`${OWN_SERVERS.join(" and ")} are set together or not at all`, { code: "BENCH_USAGE", kind: "usage", hint });
    }
    const directory = mkdtempSync(join(tmpdir(), "tombolo-bench-"));
    // the servers may run as another account
    chmodSync(directory, 0o711);
    if (sourceUrl !== undefined && targetUrl !== undefined) return new Clusters(directory, [sourceUrl, targetUrl], []);
    const started: EmbeddedServer[] = [];
    try {
      for (const name of ["source", "target"]) started.push(await startEmbedded({ directory: join(directory, name), settings: SETTINGS }));
      return new Clusters(directory, [started[0]!.url, started[1]!.url], started);
    } catch (error) {
      for (const server of started) await server.stop();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get sourceUrl(): string {
    return this.#urls[0];
  }

  get targetUrl(): string {
    return this.#urls[1];
  }

  async ask(sql: string): Promise<readonly (string | null)[]> {
    return Promise.all(
      this.#urls.map((url) =>
        withClient(url, async (client) => {
          const { rows } = await client.query<[string | null]>({ text: sql, rowMode: "array" });
          return rows[0]?.[0] ?? null;
        }),
      ),
    );
  }

  /** A name that no database or file of this run has had yet, nor of another one on the same servers. */
  freshName(): string {
    this.#made += 1;
    return `bench_${process.pid}_${this.#made}`;
  }

  /** A database or file with the benchmark's tables, empty. */
  async create(end: "source" | "target", engine: Engine, name: string): Promise<Store> {
    if (engine === "sqlite") {
      const path = join(this.directory, `${name}-${end}.db`);
      const database = new Database(path);
      database.pragma("journal_mode = wal");
      database.exec(schemaFor("sqlite"));
      database.close();
      return new SqliteStore(path);
    }
    const server = end === "source" ? this.sourceUrl : this.targetUrl;
    // what earlier databases left to write must not fall into the time of this one
    await withClient(server, async (client) => {
      await client.query(`create database ${name}`);
      await client.query("checkpoint");
    });
    const url = this.#at(server, name);
    await withClient(url, (client) => client.query(schemaFor("postgres")));
    return PostgresStore.open(url);
  }

  /** Closes the store and removes what `create` made. */
  async drop(store: Store): Promise<void> {
    await store.close();
    if (store.engine === "sqlite") {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(`${store.location}${suffix}`, { force: true });
      return;
    }
    const name = new URL(store.location).pathname.slice(1);
    const url = store.location === this.#at(this.sourceUrl, name) ? this.sourceUrl : this.targetUrl;
    await withClient(url, async (client) => {
      await client.query(END_SUPERVISOR);
      await client.query(`drop database if exists ${name} with (force)`);
    });
  }

  async version(): Promise<string> {
    return (await this.ask("show server_version"))[0] ?? "unknown";
  }

  async settings(): Promise<{ readonly [name: string]: string }> {
    const names = TOLD.map((name) => `'${name}'`).join(", ");
    const [text] = await this.ask(`select json_object_agg(name, current_setting(name))::text from pg_settings where name in (${names})`);
    return JSON.parse(text ?? "{}");
  }

  #at(server: string, database: string): string {
    const url = new URL(server);
    url.pathname = `/${database}`;
    return url.href;
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
