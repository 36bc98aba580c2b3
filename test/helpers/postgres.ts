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

/** The server of this run, as a superuser. */
export async function serverUrl(): Promise<string> {
  const given = inject("postgresUrl");
  if (given !== "") return given;
  const settings = { fsync: "off", full_page_writes: "off", max_connections: "300", ...LOGICAL };
  const server = await startEmbedded({ directory: join(inject("postgresDirectory"), "server"), settings });
  return server.url;
}

/**
 * An empty database. With `bareRole`, `url` is a role that may create schemas in it and nothing else: no superuser, no membership, no
 * database of its own, as a managed server would give it.
 */
export async function freshDatabase(options: { readonly bareRole?: boolean } = {}): Promise<FreshDatabase> {
  const server = await serverUrl();
  const name = `test_${randomBytes(6).toString("hex")}`;
  await withClient(server, (client) => client.query(`create database ${name}`));
  const superUrl = at(server, { database: name });
  if (!options.bareRole) return { url: superUrl, superUrl, role: new URL(server).username, drop: () => dropDatabase(server, name) };
  const password = randomBytes(12).toString("hex");
  await withClient(superUrl, async (client) => {
    await client.query(`create role ${name} login password '${password}' nosuperuser nocreatedb nocreaterole`);
    await client.query(`revoke all on schema public from public`);
    await client.query(`grant connect, create on database ${name} to ${name}`);
  });
  const drop = async () => {
    await dropDatabase(server, name);
    await withClient(server, (client) => client.query(`drop role ${name}`));
  };
  return { url: at(superUrl, { user: name, password }), superUrl, role: name, drop };
}

/** A server of the test's own that keeps what it commits (fsync on), for tests that kill it. Call `remove` at the end. */
export async function durableServer(
  settings: { readonly [name: string]: string } = {},
): Promise<EmbeddedServer & { readonly directory: string; remove(): Promise<void> }> {
  const directory = mkdtempSync(join(inject("postgresDirectory"), "durable-"));
  const server = await startEmbedded({ directory, settings });
  const remove = async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { ...server, directory, remove };
}

/** One connection for the time of `work`. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export async function dropDatabase(server: string, name: string): Promise<void> {
  await withClient(server, async (client) => {
    // a slot keeps its database from being dropped, and its walsender ends a moment after the connection
    await client.query(
      `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where database = $1 and active_pid is not null`,
      [name],
    );
    await client.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1`, [name]);
    await client.query(`drop database if exists ${name} with (force)`);
  });
}

function at(url: string, change: { database?: string; user?: string; password?: string }): string {
  const changed = new URL(url);
  if (change.database !== undefined) changed.pathname = `/${change.database}`;
  if (change.user !== undefined) changed.username = change.user;
  if (change.password !== undefined) changed.password = change.password;
  return changed.href;
}
