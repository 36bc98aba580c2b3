import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { inject } from "vitest";
import { type EmbeddedServer, startEmbedded } from "../../replicator/node/postgres/embedded.ts";

export interface FreshDatabase {
  /** As the role that the test asked for. */
  readonly url: string;
  /** The same database as a superuser. */
  readonly superUrl: string;
  /** The name of the role in `url`. */
  readonly role: string;
  drop(): Promise<void>;
}

/** So that nodes may capture from slots. */
const LOGICAL = { wal_level: "logical", max_replication_slots: "100", max_wal_senders: "100" };

/** Nothing here outlives the run; and the log is in memory: see run-directory.ts. */
const SETTINGS = { fsync: "off", full_page_writes: "off", max_wal_size: "256MB", max_connections: "300", ...LOGICAL };

let started: Promise<string> | undefined;

/** The server of this run, as a superuser. */
export function serverUrl(): Promise<string> {
  started ??= startServer();
  return started;
}

async function startServer(): Promise<string> {
  const given = inject("postgresUrl");
  if (given !== "") return given;
  return (await startEmbedded({ directory: join(inject("postgresDirectory"), "server"), settings: SETTINGS })).url;
}

let administration: pg.Pool | undefined;

/** For what makes and drops databases: a connection of its own each time costs as much as either. */
async function administrate<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  if (administration === undefined) {
    administration = new pg.Pool({ connectionString: await serverUrl(), max: 2, idleTimeoutMillis: 5_000, allowExitOnIdle: true });
    administration.on("error", () => undefined);
  }
  const client = await administration.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

/**
 * An empty database. With `bareRole`, `url` is a role that may create schemas in it and nothing else: no superuser, no membership, no
 * database of its own, as a managed server would give it.
 */
export async function freshDatabase(options: { readonly bareRole?: boolean } = {}): Promise<FreshDatabase> {
  const server = await serverUrl();
  // copying files writes less than logging every page of the template (4 ms of processor time against 20, in memory)
  const strategy = inject("postgresUrl") === "" ? "strategy file_copy" : "";
  const name = `test_${randomBytes(6).toString("hex")}`;
  await administrate((client) => client.query(`create database ${name} ${strategy}`));
  const superUrl = at(server, { database: name });
  if (!options.bareRole)
    return { url: superUrl, superUrl, role: new URL(server).username, drop: () => administrate((admin) => dropDatabase(admin, name)) };
  const password = randomBytes(12).toString("hex");
  await withClient(superUrl, async (client) => {
    await client.query(`create role ${name} login password '${password}' nosuperuser nocreatedb nocreaterole`);
    await client.query(`revoke all on schema public from public`);
    await client.query(`grant connect, create on database ${name} to ${name}`);
  });
  const drop = async () => {
    await administrate(async (admin) => {
      await dropDatabase(admin, name);
      await admin.query(`drop role ${name}`);
    });
  };
  return { url: at(superUrl, { user: name, password }), superUrl, role: name, drop };
}

/** Of servers that are killed: what they share is in their folder, and goes with it. */
export const KILLED = { dynamic_shared_memory_type: "mmap" };

/** A server of the test's own that keeps what it commits (fsync on), for tests that kill it. Call `remove` at the end. */
export async function durableServer(
  settings: { readonly [name: string]: string } = {},
): Promise<EmbeddedServer & { readonly directory: string; remove(): Promise<void> }> {
  const directory = mkdtempSync(join(inject("postgresDirectory"), "durable-"));
  const server = await startEmbedded({ directory, settings: { ...KILLED, ...settings } });
  const remove = async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { ...server, directory, remove };
}

/** One connection for the time of `work`. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  // one that breaks between two statements is told by the next
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export async function dropDatabase(admin: pg.ClientBase, name: string): Promise<void> {
  // a slot keeps its database from being dropped, and its walsender ends a moment after the connection
  await admin.query(
    `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where database = $1 and active_pid is not null`,
    [name],
  );
  await admin.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1`, [name]);
  await admin.query(`drop database if exists ${name} with (force)`);
}

function at(url: string, change: { database?: string; user?: string; password?: string }): string {
  const changed = new URL(url);
  if (change.database !== undefined) changed.pathname = `/${change.database}`;
  if (change.user !== undefined) changed.username = change.user;
  if (change.password !== undefined) changed.password = change.password;
  return changed.href;
}
