import pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { Client } from "./client.ts";
import { postgresError } from "./postgres-error.ts";

export const OLDEST_VERSION = 130000;

export interface PoolOptions {
  /** A connection URL. Its `options` parameter is kept, but what Tombolo pins wins. */
  readonly url: string;
  /** `application_name`, shown in pg_stat_activity. */
  readonly name?: string;
  /** Most connections at a time; 10 by default. */
  readonly max?: number;
}

/**
 * Values travel as the text that the server prints, so whatever changes that text is the same in every session of ours, whatever the
 * database, the role or the environment say. What the capture functions need of it they pin themselves (0002_capture.sql).
 */
export const PINNED: { readonly [setting: string]: string } = {
  client_encoding: "UTF8",
  datestyle: "ISO, YMD",
  intervalstyle: "postgres",
  timezone: "UTC",
  extra_float_digits: "3",
  bytea_output: "hex",
  lc_monetary: "C",
  xmloption: "content",
  quote_all_identifiers: "off",
  array_nulls: "on",
  standard_conforming_strings: "on",
  search_path: "pg_catalog",
  // a policy that hides rows is an error, not a smaller table
  row_security: "off",
  default_transaction_isolation: "read committed",
  default_transaction_read_only: "off",
  default_transaction_deferrable: "off",
  // a position that was handed out must survive a crash
  synchronous_commit: "on",
  lock_timeout: "30s",
  statement_timeout: "0",
  // a replicator that hangs must not hold back vacuum for ever
  idle_in_transaction_session_timeout: "10min",
  transform_null_equals: "off",
  client_min_messages: "warning",
  // The segments of the change log are never analysed, and a plan that scans one to look for nothing costs seconds: the index serves.
  // The penalty would set off compilation, so that is off too; no statement here is worth compiling.
  enable_seqscan: "off",
  jit: "off",
};

/**
 * A connection that nobody wanted for this long is closed. Longer than links at rest wait between two looks: those of many links look at the same moment, and
 * would have a dozen connections made for each, which is a third of what 50 links at rest cost.
 */
const IDLE_MS = 60_000;

const asText = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;

/**
 * A pool whose sessions all behave alike and whose values are text or null. Every new connection is refused on a standby
 * (`POSTGRES_STANDBY`, connect), on a server older than 13 (`POSTGRES_TOO_OLD`, operator), and where it comes without what is pinned
 * (`POSTGRES_POOLED`, operator). Errors of idle connections are dropped:
 * the next query of whoever wants one tells.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...sessionConfig(options),
    Client,
    max: options.max ?? 10,
    idleTimeoutMillis: IDLE_MS,
    onConnect: checkServer as (client: pg.ClientBase) => void,
  });
  pool.on("error", () => undefined);
  // the pool listens to idle connections only: one that breaks while it is checked out, between two statements, would end the process
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** How every session of ours connects. */
export function sessionConfig(options: Pick<PoolOptions, "url" | "name">): pg.ClientConfig {
  const { config, options: given } = parse(options.url);
  return {
    ...config,
    options: [given, ...Object.entries(PINNED).map(([name, value]) => `-c ${name}=${value.replace(/([\\ ])/g, "\\$1")}`)].join(" ").trim(),
    application_name: options.name ?? "tombolo",
    types: asText,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
  };
}

/** How a transaction begins and ends, where more is said with the first and the last word. */
export interface TransactionEnds {
  readonly begin?: (client: pg.PoolClient) => Promise<unknown>;
  readonly commit?: (client: pg.PoolClient) => Promise<unknown>;
}

const PLAIN: Required<TransactionEnds> = { begin: (client) => client.query("begin"), commit: (client) => client.query("commit") };

/** For what reads several things at one moment. */
export const READING: TransactionEnds = { begin: (client) => client.query("begin isolation level repeatable read read only") };

/** For what a crash of the server may take back: the commit waits for no disk, and keeps none from applications. */
export const UNFLUSHED: TransactionEnds = { begin: (client) => client.query("begin; set local synchronous_commit = off") };

/** One transaction on a connection of its own. Rolls back and throws a `TomboloError` when `work`, or an end, fails. */
export async function transaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  { begin = PLAIN.begin, commit = PLAIN.commit }: TransactionEnds = {},
): Promise<T> {
  const client = await pool.connect().catch((error) => {
    throw postgresError(error);
  });
  let broken = false;
  try {
    await begin(client);
    const result = await work(client);
    await commit(client);
    return result;
  } catch (error) {
    await client.query("rollback").catch(() => {
      broken = true;
    });
    throw postgresError(error);
  } finally {
    client.release(broken);
  }
}

async function checkServer(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ standby: string; version: string; pinned: string }>(
    `select pg_is_in_recovery() as standby, current_setting('server_version_num') as version,
            not exists (select from json_each_text($1) as s where current_setting(s.key) <> s.value) as pinned`,
    [JSON.stringify(PINNED)],
  );
  if (Number(rows[0]?.version) < OLDEST_VERSION) {
    throw new TomboloError("the server is older than Postgres 13", {
      code: "POSTGRES_TOO_OLD",
      kind: "operator",
      hint: "Upgrade the server, or replicate from another one.",
    });
  }
  // a pooler that is told to ignore what it does not know: values would be printed as somebody else likes them, commits lost (hazards B32)
  if (rows[0]?.pinned !== "t") {
    throw new TomboloError(
      "the settings that a session of Tombolo begins with do not reach the server: a pooler in front of it drops them",
      {
        code: "POSTGRES_POOLED",
        kind: "operator",
        hint: "Give the node the URL of the server itself.",
      },
    );
  }
  // snapshots of a standby do not follow the order of commits on the primary
  if (rows[0]?.standby === "t") {
    throw new TomboloError("the server is a standby", {
      code: "POSTGRES_STANDBY",
      kind: "connect",
      hint: "Give the node the URL of the primary.",
    });
  }
}

/** The URL in parts, so that its `options` can be put together with ours: the driver takes only one of the two. */
function parse(url: string): { config: pg.ClientConfig; options: string } {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new TomboloError("the URL of a Postgres node cannot be read", {
      code: "POSTGRES_URL",
      kind: "usage",
      hint: "Write postgres://user:password@host:port/database, with special characters percent-encoded.",
    });
  }
  const options = parsed.searchParams.get("options") ?? "";
  parsed.searchParams.delete("options");
  parsed.searchParams.delete("application_name");
  return { config: { connectionString: parsed.href }, options };
}
