import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { now } from "../measure/clock.ts";
import { PostgresStore } from "../stores/postgres.ts";
import { TABLE_NAMES } from "../stores/tables.ts";
import { END_SUPERVISOR, missingExtension } from "./extension.ts";
import type { Ends, Installed, Servers, System } from "./system.ts";

const run = promisify(execFile);
/** Its control database and its role have these names, always. */
const CONTROL = "bucardo";
const SYNC = "bench";
const PATIENCE_MS = 60_000;

/** Bucardo 5 as its manual sets it up: a control database at the source's server, one sync over all tables, woken by its triggers. */
export const bucardo: System = { name: "bucardo", missing, install };

async function missing(servers: Servers): Promise<string | null> {
  try {
    await run("bucardo", ["--version"]);
  } catch {
    return "no command bucardo";
  }
  const extension = await missingExtension(servers, "plperlu");
  if (extension !== null) return extension;
  try {
    // a server may list it, and lack the Perl that it was built for
    await servers.ask("load '$libdir/plperl'");
  } catch (error) {
    return `the servers cannot load plperl: ${(error as Error).message}`;
  }
  const [used] = await servers.ask(`select datname from pg_database where datname = '${CONTROL}'`);
  return used === null ? null : `the source's server has a database ${CONTROL} already, which may be in use`;
}

async function install(ends: Ends): Promise<Installed> {
  const { source, target } = ends;
  // it writes the names of its folders in lower case, which the run's own may not be
  const home = join(tmpdir(), `${ends.name}-bucardo`);
  mkdirSync(home);
  const tell = teller(source.location, home);
  const start = () => tell("start", "--log-destination", home);
  const stop = async () => {
    await tell("stop");
    // it has been told only
    for (const deadline = now() + PATIENCE_MS; daemons(home).length > 0; await sleep(20)) {
      if (now() > deadline) throw new Error("bucardo does not stop");
    }
  };
  const remove = async () => {
    await stop().catch(() => undefined);
    await asSuperuser(source.location, [
      END_SUPERVISOR,
      `drop database if exists ${CONTROL} with (force)`,
      `drop role if exists ${CONTROL}`,
    ]);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await setUp(ends, home, tell);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    pid: null,
    start,
    pause: stop,
    async bothWays() {
      await stop();
      await tell("remove", "sync", SYNC);
      await tell(...addSync("source:source,target:source"));
      await start();
    },
    async backends() {
      const text = "select pid from pg_stat_activity where application_name like 'bucardo%'";
      const servers = await Promise.all([source, target].map((store) => (store instanceof PostgresStore ? store.pids(text) : [])));
      return [...servers.flat(), ...daemons(home)];
    },
    assertAlive() {
      if (daemons(home).length === 0) throw new Error("bucardo has stopped");
    },
    remove,
  };
}

const addSync = (dbs: string): readonly string[] => ["add", "sync", SYNC, `relgroup=${SYNC}`, `dbs=${dbs}`];

/** Its triggers are there from here on. */
async function setUp({ source, target }: Ends, home: string, tell: Teller): Promise<void> {
  const { username, password } = loginOf(source.location);
  const secret = password === "" ? "" : `password '${password.replaceAll("'", "''")}'`;
  await asSuperuser(source.location, [`create role ${CONTROL} superuser login ${secret}`]);
  await tell("install", "--batch", "--dbuser", username, "--dbname", "postgres", "--piddir", home);
  await tell("set", `reason_file=${join(home, "restart.reason")}`);
  for (const [end, { location }] of Object.entries({ source, target })) {
    const { host, port, username, password, database } = loginOf(location);
    const pass = password === "" ? [] : [`pass=${password}`];
    await tell("add", "db", end, `dbname=${database}`, `host=${host}`, `port=${port}`, `user=${username}`, ...pass);
  }
  await tell("add", "table", ...TABLE_NAMES, "db=source", `relgroup=${SYNC}`);
  await tell(...addSync("source:source,target:target"));
}

type Teller = (...args: readonly string[]) => Promise<void>;

function teller(location: string, home: string): Teller {
  const { host, port, password } = loginOf(location);
  const env = { ...process.env, HOME: home, ...(password === "" ? {} : { PGPASSWORD: password }) };
  return async (...args) => {
    await run("bucardo", ["--dbhost", host, "--dbport", port, "--quiet", ...args], { env, cwd: home, timeout: PATIENCE_MS });
  };
}

function loginOf(location: string) {
  const url = new URL(location);
  const [username, password] = [url.username, url.password].map(decodeURIComponent) as [string, string];
  return { host: url.hostname, port: url.port || "5432", username, password, database: url.pathname.slice(1) };
}

/** Its processes outside the servers: they write their numbers into files, and may leave those behind. */
function daemons(home: string): number[] {
  const files = readdirSync(home).filter((file) => file.endsWith(".pid"));
  return files.flatMap((file) => {
    try {
      const pid = Number.parseInt(readFileSync(join(home, file), "utf8"), 10);
      process.kill(pid, 0);
      return [pid];
    } catch {
      return [];
    }
  });
}

async function asSuperuser(location: string, statements: readonly string[]): Promise<void> {
  const url = new URL(location);
  url.pathname = "/postgres";
  const client = new pg.Client({ connectionString: url.href, application_name: "bench set-up" });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
