import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { appendFile, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { startEmbedded, stopEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { findBinaries, serverAccount, spawnAs } from "../../replicator/node/postgres/embedded-binaries.ts";
import { freePort, until } from "./command.ts";
import { killServer, restartServer } from "./crash.ts";
import { durableServer, KILLED, withClient } from "./postgres.ts";

/** A server, and a hot standby of it that streams. */
export interface ServerPair {
  /** Of the primary; and of the standby, once it has taken over. */
  readonly url: string;
  readonly standbyUrl: string;
  /** The standby has all that the primary has written. */
  caughtUp(): Promise<void>;
  /** From now on nothing comes to the standby. */
  cutOff(): Promise<void>;
  /** The primary is killed, the standby promoted, and reached where the primary was. */
  failOver(): Promise<void>;
  remove(): Promise<void>;
}

const SETTINGS = { ...KILLED, fsync: "off", wal_keep_size: "1GB", max_connections: "100" };

export async function serverPair(settings: { readonly [name: string]: string } = {}): Promise<ServerPair> {
  const all = { ...SETTINGS, ...settings };
  const primary = await durableServer(all);
  const directory = mkdtempSync(join(dirname(primary.directory), "standby-"));
  const data = join(directory, "pgdata");
  const at = new URL(primary.url);
  // a copy of a server that was shut down is one that a standby can go on from
  await primary.stop();
  for (const name of ["pgdata", "password"]) await promisify(execFile)("cp", ["-a", join(primary.directory, name), join(directory, name)]);
  await restartServer({ ...primary, settings: all });
  const follows = `host=127.0.0.1 port=${at.port} user=${at.username} password=${at.password} application_name=standby`;
  await appendFile(join(data, "postgresql.auto.conf"), `primary_conninfo = '${follows}'\n`);
  writeFileSync(join(data, "standby.signal"), "");
  const port = await freePort();
  await startStandby(data, {
    ...all,
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    wal_level: "logical",
  });
  const standby = new URL(primary.url);
  standby.port = String(port);
  const standbyUrl = standby.href;
  const ask = async (url: string, sql: string): Promise<unknown> =>
    withClient(url, async (client) => (await client.query({ text: sql, rowMode: "array" })).rows[0]?.[0]);
  await until("the standby takes questions", async () => (await ask(standbyUrl, "select pg_is_in_recovery()")) === true);
  return {
    url: primary.url,
    standbyUrl,
    async caughtUp() {
      const written = await ask(primary.url, "select pg_current_wal_lsn()::text");
      await until(
        "the standby has caught up",
        async () => (await ask(standbyUrl, `select pg_last_wal_replay_lsn() >= '${written}'`)) === true,
      );
    },
    async cutOff() {
      await withClient(standbyUrl, (client) => client.query("alter system set primary_conninfo = ''"));
      await ask(standbyUrl, "select pg_reload_conf()");
      await until("the standby is cut off", async () => (await ask(primary.url, "select count(*)::int from pg_stat_replication")) === 0);
    },
    async failOver() {
      await killServer(primary.directory);
      await ask(standbyUrl, "select pg_promote()");
      await stopEmbedded(directory);
      await startEmbedded({ directory, port: Number(at.port), settings: all });
    },
    async remove() {
      await stopEmbedded(directory);
      await primary.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Not the product's way to start a server, which waits for one that takes writes. */
async function startStandby(data: string, settings: { readonly [name: string]: string }): Promise<void> {
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawnAs(serverAccount(), (await findBinaries()).postgres, ["-D", data, ...args], { data, stdio: "ignore", detached: true });
  await once(child, "spawn");
  child.unref();
  await until("the standby has begun", async () => (await readFile(join(data, "postmaster.pid"), "utf8")).includes("standby"));
}
