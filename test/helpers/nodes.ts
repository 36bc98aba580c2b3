import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import pg from "pg";
import { channelName, nodeName, tableName } from "../../replicator/change/names.ts";
import { type ConflictRule, PLAIN_RULE } from "../../replicator/change/verdict.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { createLink } from "../../replicator/link/create-link.ts";
import type { Link, LinkCounts, LinkObserver } from "../../replicator/link/link.ts";
import type { WantedTable } from "../../replicator/node/installation.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import type { Direction, Topology, TopologyChannel, TopologyLink } from "../../replicator/topology/topology.ts";
import { HttpLink } from "./http-link.ts";
import { type FreshDatabase, freshDatabase, withClient } from "./postgres.ts";
import { RelayedLink } from "./relayed-link.ts";

/** A database as an application uses it, beside the node that replicates it. */
export interface TestNode {
  readonly node: Node;
  /** As after a restart of the replicator: `node` is another one from then on. */
  reopen(): Promise<void>;
  /** Runs statements as the application: one transaction. */
  write(sql: string): Promise<void>;
  /** Rows as arrays of text (null for NULL). */
  rows(sql: string): Promise<(string | null)[][]>;
  close(): Promise<void>;
}

export interface TestTable extends Partial<ConflictRule> {
  readonly name: string;
  readonly exclude?: readonly string[];
  readonly filter?: string;
  /** `all` where it is not said. In a link, channels are as urgent as they are named early. */
  readonly channel?: string;
  /** Of the node that it is captured in. */
  readonly ids?: WantedTable["idStride"];
}

export const wanted = (tables: readonly TestTable[], engine: "postgres" | "sqlite", common = "all"): WantedTable[] =>
  tables.map(({ name, filter, channel = common, exclude = [], ids = null, ...rule }) => ({
    table: tableName(name),
    channel: channelName(channel),
    local: engine === "postgres" ? (name.includes(".") ? name : `public.${name}`) : name.slice(name.indexOf(".") + 1),
    wholeImages: rule.detect === "row" || (rule.groups ?? []).length > 0 || filter !== undefined,
    conflict: { ...PLAIN_RULE, ...rule },
    exclude,
    receives: true,
    sharesKeys: true,
    filters: [],
    idStride: ids,
  }));

export type Capture = "trigger" | "slot";

/** How Postgres nodes capture where a test does not say: TEST_CAPTURE=slot runs whole suites that way. */
export const CAPTURE: Capture = process.env.TEST_CAPTURE === "slot" ? "slot" : "trigger";

/** How a link's packets travel in tests that settle it: TEST_LINK=relay runs whole suites with two ends that know nothing of each other, TEST_LINK=http with a hub's service between them. */
export const CARRIED = (process.env.TEST_LINK || "direct") as "direct" | "relay" | "http";

/** A fresh Postgres database with `schema` run in it; captured where tables are given. */
export async function postgresNode(
  name: string,
  schema: string,
  tables: readonly TestTable[] = [],
  options: { bareRole?: boolean; capture?: Capture } = {},
): Promise<TestNode & { readonly database: FreshDatabase }> {
  const capture = options.capture ?? CAPTURE;
  const database = await freshDatabase(options);
  if (options.bareRole && capture === "slot") {
    await withClient(database.superUrl, (admin) => admin.query(`alter role ${database.role} replication`));
  }
  const client = new pg.Client({ connectionString: database.url });
  client.on("error", () => undefined);
  await client.connect();
  if (schema !== "") await client.query(schema);
  const connect = (): Promise<Node> => openPostgresNode({ name: nodeName(name), url: database.url, capture });
  let node = await connect();
  if (tables.length > 0) await node.installation.apply(wanted(tables, "postgres"));
  return {
    get node() {
      return node;
    },
    async reopen() {
      await node.close();
      node = await connect();
    },
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
  const connect = (): Promise<Node> => openSqliteNode({ name: nodeName(name), path });
  let node = await connect();
  if (tables.length > 0) await node.installation.apply(wanted(tables, "sqlite"));
  return {
    get node() {
      return node;
    },
    async reopen() {
      await node.close();
      node = await connect();
    },
    path,
    async write(sql) {
      try {
        application.exec(`begin immediate; ${sql}; commit`);
      } catch (error) {
        if (application.inTransaction) application.exec("rollback");
        throw error;
      }
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

const modules = createModuleRunner();

export const silent: LinkObserver = {
  applied() {},
  caughtUp() {},
  failed() {},
  recovered() {},
  notice() {},
};

const topologyTable = ({ name, channel: _, exclude = [], filter, ids: __, ...rule }: TestTable): TopologyChannel["tables"][number] => ({
  name: tableName(name),
  postgres: { schema: name.includes(".") ? (name.split(".")[0] as string) : "public", table: name.slice(name.indexOf(".") + 1) },
  sqlite: name.slice(name.indexOf(".") + 1),
  ...PLAIN_RULE,
  ...rule,
  exclude,
  filter: filter ?? null,
  idStride: null,
});

export interface TestLinkOptions {
  readonly direction?: Direction;
  readonly observer?: LinkObserver;
  readonly maxRows?: number;
  readonly params?: TopologyLink["params"];
}

/** A topology of one link over the channels of these tables. */
export function testTopology(
  parent: Node,
  child: Node,
  tables: readonly TestTable[],
  options: TestLinkOptions = {},
): { readonly topology: Topology; readonly link: TopologyLink } {
  const names = [...new Set(tables.map(({ channel = "all" }) => channel))];
  const channels = names.map(
    (name, at): TopologyChannel => ({
      name: channelName(name),
      priority: 100 + at,
      tables: tables.filter(({ channel = "all" }) => channel === name).map(topologyTable),
    }),
  );
  const link: TopologyLink = {
    parent: parent.name,
    child: child.name,
    params: options.params ?? {},
    channels: channels.map(({ name }) => ({ name, direction: options.direction ?? "both" })),
  };
  const topology: Topology = {
    name: "test",
    file: "/test.yaml",
    nodes: [],
    channels,
    links: [link],
    groups: [],
    batch: { maxRows: options.maxRows ?? 5000, maxBytes: 4 * 2 ** 20, maxWaitMs: 50, compression: "gzip" },
    retry: { initialMs: 50, factor: 2, maxMs: 500, jitter: true },
    log: { keepMs: 7 * 86_400_000, maxSizeBytes: 10 * 2 ** 30 },
    history: { keepMs: 90 * 86_400_000 },
    reconcile: [],
    metrics: null,
    hub: null,
    addsColumns: false,
  };
  return { topology, link };
}

/** A link over the channels of these tables. */
export function testLink(
  parent: Node,
  child: Node,
  tables: readonly TestTable[],
  options: TestLinkOptions = {},
): Link & { settle(): Promise<LinkCounts>; readonly ends: { parent: Node; child: Node; link: TopologyLink; topology: Topology } } {
  const { topology, link } = testTopology(parent, child, tables, options);
  const observer = options.observer ?? silent;
  const made = createLink({ parent, child, link, topology, observer, modules });
  const relayed = new RelayedLink({ parent, child, link, topology, observer, judge: createJudge(modules) });
  const overHttp = new HttpLink({ parent, child, link, topology, observer });
  const settle = {
    direct: () => made.sync(new AbortController().signal),
    relay: () => relayed.settle(),
    http: () => overHttp.settle(),
  }[CARRIED];
  return {
    parent: made.parent,
    child: made.child,
    sync: (signal) => made.sync(signal),
    run: (signal) => made.run(signal),
    retryParked: (only) => made.retryParked(only),
    settle,
    ends: { parent, child, link, topology },
  };
}
