import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { expect, test } from "vitest";
import { startEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { type Started, until } from "../helpers/command.ts";
import { durableServer } from "../helpers/postgres.ts";
import { openWorld, rowsOf } from "./world.ts";

const FULL = process.env.TOMBOLO_FAULTS === "full";
const CRASHES = FULL ? 20 : 2;

test("commits that a crash of the hub takes back were never sent: nothing that a child has vanishes at its source, and all end equal", {
  timeout: 60_000 + CRASHES * 20_000,
}, async () => {
  const server = await durableServer();
  const world = await openWorld({
    tables: ["note"],
    postgres: "create table note (id int primary key, body text)",
    sqlite: "create table note (id integer primary key, body text)",
    hubUrl: server.url,
  });
  let replicator: Started | undefined;
  try {
    // as long as it goes: what is not flushed for some other reason stays unflushed
    await world.hub.query("alter system set wal_writer_delay = '10s'");
    await world.hub.query("select pg_reload_conf()");
    await world.apply();
    replicator = world.run();
    let id = 0;
    let vanished = 0;
    for (let crash = 0; crash < CRASHES; crash++) {
      const writer = new Client({ connectionString: server.url });
      writer.on("error", () => undefined);
      await writer.connect();
      await writer.query("set synchronous_commit = off");
      const first = id;
      const deadline = Date.now() + 700 + 400 * Math.random();
      while (Date.now() < deadline) await writer.query("insert into note values ($1, $2)", [++id, `after crash ${crash}`]);
      const lastCommitted = id;
      killServer(server.directory);
      await writer.end().catch(() => undefined);
      // nothing reaches the children now: what they have is what was sent
      const sent = Math.max(
        ...(await Promise.all([world.replica, world.store].map(async (node) => largest(await rowsOf(node, IDS))))),
        first,
      );
      await restart(server);
      const kept = await withHub(server.url, async (client) => largest(await rowsOf(client, IDS)));
      expect(kept, `rows at the hub after crash ${crash}; the children had ${sent}`).toBeGreaterThanOrEqual(sent);
      if (kept < lastCommitted) vanished += 1;
      // numbers that were lost are used again, as an application would
      id = kept;
    }
    console.log(`${CRASHES} crashes, ${vanished} of which took commits back`);
    world.store.exec("insert into note values (1000000000, 'store')");
    await until(
      "all nodes are equal",
      async () => {
        const sql = "select id, body from note order by id";
        const rows = [
          await withHub(server.url, (client) => rowsOf(client, sql)),
          await rowsOf(world.replica, sql),
          await rowsOf(world.store, sql),
        ];
        return new Set(rows).size === 1 && (rows[0] ?? "").includes('[1000000000,"store"]');
      },
      40_000,
    );
  } catch (error) {
    console.log(replicator?.stderr().split("\n").slice(-40).join("\n"));
    throw error;
  } finally {
    await world.close().catch(() => undefined);
    await server.remove();
  }
});

const IDS = "select coalesce(max(id), 0) from note where id < 1000000000";
const largest = (rows: string): number => (JSON.parse(rows) as [[number]])[0][0];

async function withHub<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The postmaster and all that it started, at once: none of them writes anything more. */
function killServer(directory: string): void {
  const postmaster = Number(readFileSync(join(directory, "pgdata", "postmaster.pid"), "utf8").split("\n")[0]);
  process.kill(postmaster, "SIGSTOP");
  const family = [postmaster, ...childrenOf(postmaster)];
  for (const pid of family) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has ended by itself
    }
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** On the same port. The killed server may look as if it ran for a moment, and its children hold its shared memory. */
async function restart(server: { readonly directory: string; readonly url: string }): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await startEmbedded({ directory: server.directory, port: Number(new URL(server.url).port) });
      await withHub(server.url, (client) => client.query("select"));
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await delay(200);
    }
  }
}
