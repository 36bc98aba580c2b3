import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import pg from "pg";
import { channelName, nodeName, tableName } from "../../replicator/change/names.ts";
import { createLink } from "../../replicator/link/create-link.ts";
import type { Link, LinkCounts, LinkObserver } from "../../replicator/link/link.ts";
import type { WantedTable } from "../../replicator/node/installation.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import type { Direction, PolicyName, Topology, TopologyChannel, TopologyLink } from "../../replicator/topology/topology.ts";
import { type FreshDatabase, freshDatabase } from "./postgres.ts";

/** A database as an application uses it, beside the node that replicates it. */
export interface TestNode {
  readonly node: Node;
  /** Runs statements as the application: one transaction. */
  write(sql: string): Promise<void>;
  /** Rows as arrays of text (null for NULL). */
  rows(sql: string): Promise<(string | null)[][]>;
  close(): Promise<void>;
}

export interface TestTable {
  readonly name: string;
  readonly policy?: PolicyName;
  readonly detect?: "column" | "row";
}

export const wanted = (tables: readonly TestTable[], engine: "postgres" | "sqlite", channel = "all"): WantedTable[] =>
  tables.map(({ name, detect = "column" }) => ({
    table: tableName(name),
    channel: channelName(channel),
    local: engine === "postgres" ? (name.includes(".") ? name : `public.${name}`) : name.slice(name.indexOf(".") + 1),
    detect,
  }));

/** A fresh Postgres database with `schema` run in it; captured where tables are given. */
export async function postgresNode(
  name: string,
  schema: string,
  tables: readonly TestTable[] = [],
  options: { bareRole?: boolean } = {},
): Promise<TestNode & { readonly database: FreshDatabase }> {
  const database = await freshDatabase(options);
  const client = new pg.Client({ connectionString: database.url });
  client.on("error", () => undefined);
  await client.connect();
  if (schema !== "") await client.query(schema);
  const node = await openPostgresNode({ name: nodeName(name), url: database.url });
  if (tables.length > 0) await node.installation.apply(wanted(tables, "postgres"));
  return {
    node,
    database,
    async write(sql) {
      await client.query(`begin; ${sql}; commit`).catch(async (error) => {
        await client.query("rollback");
        throw error;
      });
    },
    async rows(sql) {
      const { rows } = await client.query({
        text: sql,
        rowMode: "array",
        types: { getTypeParser: () => (value: unknown) => value } as never,
      });
      return rows as (string | null)[][];
    },
    async close() {
      await node.close();
      await client.end();
      await database.drop();
    },
  };
}

/** A fresh SQLite file with `schema` run in it; captured where tables are given. */
export async function sqliteNode(
  name: string,
  schema: string,
  tables: readonly TestTable[] = [],
): Promise<TestNode & { readonly path: string }> {
  const directory = mkdtempSync(join(tmpdir(), "tombolo-node-"));
  const path = join(directory, `${name}.db`);
  const application = new Database(path);
  application.pragma("journal_mode = wal");
  application.pragma("busy_timeout = 5000");
  application.exec(schema);
  const node = await openSqliteNode({ name: nodeName(name), path });
  if (tables.length > 0) await node.installation.apply(wanted(tables, "sqlite"));
  return {
    node,
    path,
    async write(sql) {
      application.exec(`begin immediate; ${sql}; commit`);
    },
    async rows(sql) {
      const all = application.prepare(sql).raw().safeIntegers().all() as unknown[][];
      return all.map((row) => row.map((value) => (value === null ? null : String(value))));
    },
    async close() {
      await node.close();
      application.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export const silent: LinkObserver = {
  applied() {},
  caughtUp() {},
  failed() {},
  recovered() {},
  notice() {},
};

/** A link over one channel `all` with these tables. */
export function testLink(
  parent: Node,
  child: Node,
  tables: readonly TestTable[],
  options: { readonly direction?: Direction; readonly observer?: LinkObserver; readonly maxRows?: number } = {},
): Link & { settle(): Promise<LinkCounts> } {
  const channel: TopologyChannel = {
    name: channelName("all"),
    priority: 100,
    tables: tables.map(({ name, policy = "parent_wins", detect = "column" }) => ({
      name: tableName(name),
      postgres: { schema: name.includes(".") ? (name.split(".")[0] as string) : "public", table: name.slice(name.indexOf(".") + 1) },
      sqlite: name.slice(name.indexOf(".") + 1),
      policy,
      mergeColumns: {},
      groups: [],
      otherwise: "parent_wins",
      module: null,
      detect,
      exclude: [],
      filter: null,
    })),
  };
  const link: TopologyLink = {
    parent: parent.name,
    child: child.name,
    params: {},
    channels: [{ name: channel.name, direction: options.direction ?? "both" }],
  };
  const topology: Topology = {
    name: "test",
    file: "/test.yaml",
    nodes: [],
    channels: [channel],
    links: [link],
    groups: [],
    batch: { maxRows: options.maxRows ?? 5000, maxBytes: 4 * 2 ** 20, maxWaitMs: 50, compression: "gzip" },
    retry: { initialMs: 50, factor: 2, maxMs: 500, jitter: true },
    log: { keepMs: 7 * 86_400_000, maxSizeBytes: 10 * 2 ** 30 },
    history: { keepMs: 90 * 86_400_000 },
    reconcile: [],
    metrics: null,
    hub: null,
    notYet: [],
  };
  const made = createLink({ parent, child, link, topology, observer: options.observer ?? silent });
  return {
    parent: made.parent,
    child: made.child,
    sync: (signal) => made.sync(signal),
    run: (signal) => made.run(signal),
    settle: () => made.sync(new AbortController().signal),
  };
}
