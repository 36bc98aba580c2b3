import { createHash } from "node:crypto";
import { Client } from "pg";
import { TomboloError } from "../change/error.ts";
import { isRunName, type LeaseHold, type LeaseHolder, type LeaseStore, leaseName, type Purpose, type Shares } from "./lease.ts";

const HEARTBEAT_MS = 2_000;
/** A process that has given no sign for this long is put out: its host is gone, or it is stopped. */
const SILENT_SECONDS = 6;
const ANSWER_WITHIN_MS = 10_000;

/**
 * The lease of a topology whose hub is a Postgres: a session advisory lock on a connection of its own, shared by those that `run`. A share is another lock
 * of the same session. What a process did not notice to have lost does no harm: each of its commits counts packets (see `exactly-once.ts`).
 */
export function postgresLease(options: { node: string; topology: string; url: () => Promise<string> }): LeaseStore {
  const key = advisoryKey(options.topology);
  return {
    async take(purpose) {
      const client = await connect(options.node, await options.url(), purpose);
      try {
        if (await tryLock(client, key, purpose === "run" ? "_shared" : "")) return hold(client, options.topology);
        const holder = await askHolder(client, key);
        await client.end().catch(() => {});
        return holder;
      } catch (error) {
        await client.end().catch(() => {});
        throw unreachable(options.node, error);
      }
    },
  };
}

/** 64 bits of a hash of the name, as the decimal text of a signed bigint. */
export const advisoryKey = (topology: string): string => keyOf(`tombolo lease ${topology}`);

const shareKey = (topology: string, share: string): string => keyOf(`tombolo share ${JSON.stringify([topology, share])}`);

const keyOf = (text: string): string => createHash("sha256").update(text).digest().readBigInt64BE(0).toString();

async function connect(node: string, url: string, purpose: Purpose): Promise<Client> {
  const client = new Client({
    connectionString: url,
    application_name: `tombolo ${leaseName(purpose)}`.slice(0, 63),
    connectionTimeoutMillis: ANSWER_WITHIN_MS,
    query_timeout: ANSWER_WITHIN_MS,
    keepAlive: true,
  });
  // without a listener a connection that breaks would end the process
  client.on("error", () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw unreachable(node, error);
  }
}

async function tryLock(client: Client, key: string, mode: "" | "_shared"): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>(`select pg_catalog.pg_try_advisory_lock${mode}($1::bigint) as taken`, [key]);
  return rows[0]?.taken === true;
}

function hold(client: Client, topology: string): LeaseHold {
  const lost = new AbortController();
  const gone = () => {
    clearInterval(heartbeat);
    lost.abort();
  };
  client.on("error", gone);
  client.on("end", gone);
  // a connection that hangs looks healthy until somebody asks; asking also keeps idle_session_timeout away, and tells the others that we live
  const heartbeat = setInterval(() => {
    client.query("select 1").catch(gone);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  const release = async () => {
    clearInterval(heartbeat);
    await client.end().catch(() => {});
  };
  return { held: true, lost: lost.signal, shares: sharesOf(client, topology), release, remove: release };
}

function sharesOf(client: Client, topology: string): Shares {
  return {
    async members() {
      const { rows } = await client.query<{ members: string }>(MEMBERS, [advisoryKey(topology), SILENT_SECONDS]);
      return Math.max(1, Number(rows[0]?.members));
    },
    async claim(name) {
      const key = shareKey(topology, name);
      return (await tryLock(client, key, "")) || askHolder(client, key);
    },
    async yield(name) {
      await client.query("select pg_catalog.pg_advisory_unlock($1::bigint)", [shareKey(topology, name)]);
    },
  };
}

/** Which sessions have the lock $1. */
const HELD = `l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
        and (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint`;

/** Counts those that run, and ends the sessions of those that are silent; a role can do that to its own sessions only, and sees only those. */
const MEMBERS = `
  with member as (
    select l.pid, l.pid <> pg_backend_pid() and a.usename = current_user and a.state = 'idle'
                  and a.state_change < clock_timestamp() - make_interval(secs => $2) as silent
      from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid where ${HELD})
  select count(*) filter (where silent is not true) as members, count(case when silent then pg_catalog.pg_terminate_backend(pid) end) as put_out
    from member`;

async function askHolder(client: Client, key: string): Promise<LeaseHolder> {
  const { rows } = await client.query<{ name: string | null; pid: number; since: Date | null }>(
    `select a.application_name as name, l.pid, a.backend_start as since
       from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
      where ${HELD}
      limit 1`,
    [key],
  );
  const [row] = rows;
  if (row === undefined) return { held: false, holder: "a process that has just let go of it", isRun: false };
  const since = row.since === null ? "" : `, since ${new Date(row.since).toISOString()}`;
  const name = row.name?.replace(/^tombolo /, "") || "an unnamed client";
  return { held: false, holder: `${name} (backend ${row.pid}${since})`, isRun: isRunName(name) };
}

function unreachable(node: string, cause: unknown): TomboloError {
  return new TomboloError(`the hub ${node} cannot be reached for the lease of the topology`, {
    code: "LEASE_UNREACHABLE",
    kind: "connect",
    hint: "Check that the database runs and that its address and credentials in the topology are right.",
    cause,
  });
}
