import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterEach, expect, test } from "vitest";
import { freePort, until } from "../helpers/command.ts";
import { equal, openWorld, rowsOf, type World, type WorldOptions } from "./world.ts";

const NOTE = {
  postgres: "create table note (id int primary key, body text)",
  sqlite: "create table note (id integer primary key, body text)",
};

const opened: World[] = [];
afterEach(async () => {
  for (const world of opened.splice(0)) await world.close();
});

async function noteWorld(options: Partial<WorldOptions> = {}): Promise<World> {
  const world = await openWorld({ tables: ["note"], ...NOTE, ...options });
  opened.push(world);
  await world.apply();
  return world;
}

const nodes = ({ hub, replica, store }: World) => [hub, replica, store];
const NOTES = "select id, body from note order by id";

/** A row from every node reaches every node. */
async function flows(world: World, from: number): Promise<void> {
  await world.hub.query("insert into note values ($1, 'hub')", [from]);
  await world.replica.query("insert into note values ($1, 'replica')", [from + 1]);
  world.store.prepare("insert into note values (?, 'store')").run(from + 2);
  await until(`rows ${from} and more`, async () => {
    const rows = await Promise.all(nodes(world).map((node) => rowsOf(node, `select id from note where id >= ${from} order by id`)));
    return rows.every((text) => text === JSON.stringify([[from], [from + 1], [from + 2]]));
  });
}

const resting = async (world: World): Promise<string> =>
  [
    await rowsOf(world.hub, "select last_value from tombolo.change_seq"),
    await rowsOf(world.replica, "select last_value from tombolo.change_seq"),
    await rowsOf(world.store, "select coalesce(max(seq), 0) from tombolo_change"),
  ].join();

/** Nothing is captured any more for some rounds. */
async function comesToRest(world: World): Promise<void> {
  let last = await resting(world);
  let since = Date.now();
  await until(
    "nothing moves any more",
    async () => {
      const now = await resting(world);
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since > 2_000;
    },
    20_000,
  );
}

test("a role that owns its tables and may create in its database suffices for everything, and uninstall leaves nothing", {
  timeout: 60_000,
}, async () => {
  const world = await noteWorld({ bareRole: true });
  const doctor = await world.command("doctor");
  expect(doctor.code, doctor.stdout).toBe(0);
  const run = world.run();
  await flows(world, 1);
  expect((await run.stop("SIGTERM")).code).toBe(0);
  const gone = await world.command("uninstall", "--yes");
  expect(gone.code, gone.stdout + gone.stderr).toBe(0);
  for (const client of [world.hub, world.replica]) {
    expect(
      await rowsOf(
        client,
        `select (select count(*) from pg_namespace where nspname = 'tombolo') + (select count(*) from pg_trigger where not tgisinternal)
           + (select count(*) from pg_extension where extname = 'hstore')`,
      ),
    ).toBe('[["0"]]');
  }
  expect(await rowsOf(world.store, "select count(*) from sqlite_schema where name like 'tombolo%'")).toBe("[[0]]");
});

test("what an application writes is captured, whatever it sets: tombolo.apply, another search_path, the replica role", {
  timeout: 60_000,
}, async () => {
  const world = await noteWorld();
  world.run();
  await flows(world, 1);
  await world.hub.query("begin; set local tombolo.apply = 'on'; insert into note values (10, 'marked'); commit");
  await world.hub.query("begin; set local session_replication_role = replica; insert into note values (11, 'replica role'); commit");
  await world.hub.query("begin; set local search_path = pg_temp; insert into public.note values (12, 'search path'); commit");
  await world.hub.query("set session_replication_role = replica; set tombolo.apply = 'on'; update note set body = 'both' where id = 1");
  await equal(nodes(world), NOTES);
  expect(await rowsOf(world.store, "select count(*) from note where id >= 10 or body = 'both'")).toBe("[[4]]");
});

test("stopped for longer than its lease lasts, it goes on without harm beside the one that took over", { timeout: 90_000 }, async () => {
  const world = await noteWorld();
  const first = world.run();
  await flows(world, 1);
  const port = await freePort();
  const second = world.run({ METRICS_PORT: String(port) });
  await until("the second waits", () => second.stderr().includes("LEASE_HELD"));
  first.process.kill("SIGSTOP");
  // what the server does to a session that does not answer: its keep-alive ends it, and the lease with it
  await world.hub.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
        and pid in (select pid from pg_locks where locktype = 'advisory')`,
  );
  await until("the second leads", async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200, 30_000);
  await flows(world, 10);
  await world.hub.query("update note set body = body || '+'");
  first.process.kill("SIGCONT");
  await flows(world, 20);
  await equal(nodes(world), NOTES);
  await comesToRest(world);
  expect(await rowsOf(world.hub, "select body from note where id = 1")).toBe('[["hub+"]]');
  await until("only one leads", async () => (await world.metrics()).includes("tombolo_leader 0"));
  expect(second.stderr()).not.toMatch(/"level":"(error|fatal)"/);
  await second.stop("SIGTERM");
  await flows(world, 30);
});

test("applications' triggers that stamp every update: the plan names the remedy, and with it all nodes come to rest, equal", {
  timeout: 60_000,
}, async () => {
  const world = await openWorld({
    tables: ["note"],
    bareRole: true,
    postgres: `create table note (id int primary key, body text, updated_at timestamptz not null default now());
      create function stamp() returns trigger language plpgsql as $$ begin new.updated_at := clock_timestamp(); return new; end $$;
      create trigger stamp before insert or update on note for each row execute function stamp()`,
    sqlite: `create table note (id integer primary key, body text, updated_at text not null default (strftime('%Y-%m-%d %H:%M:%f+00', 'now')));
      create trigger stamp after update on note begin
        update note set updated_at = strftime('%Y-%m-%d %H:%M:%f+00', 'now') where id = new.id; end`,
  });
  opened.push(world);
  await world.apply();
  const warned = await world.command("plan");
  expect(warned.stdout + warned.stderr).toContain("when (not tombolo.applying())");
  for (const client of [world.hub, world.replica]) {
    await client.query(`drop trigger stamp on note;
      create trigger stamp before insert or update on note for each row when (not tombolo.applying()) execute function stamp()`);
  }
  world.run();
  await world.hub.query("insert into note (id, body) values (1, 'hub'), (2, 'hub')");
  await world.replica.query("insert into note (id, body) values (3, 'replica')");
  world.store.exec("insert into note (id, body) values (4, 'store')");
  const ids = "select id from note order by id";
  await until("rows everywhere", async () =>
    (await Promise.all(nodes(world).map((node) => rowsOf(node, ids)))).every((rows) => rows === "[[1],[2],[3],[4]]"),
  );
  await world.hub.query("update note set body = 'hub again' where id = 4");
  await world.replica.query("update note set body = 'replica again' where id = 1");
  world.store.exec("update note set body = 'store again' where id = 3");
  await equal(nodes(world), NOTES);
  await comesToRest(world);
  const stamps = "select id, body, updated_at::text from note order by id";
  expect(await rowsOf(world.replica, stamps)).toBe(await rowsOf(world.hub, stamps));
  const instants = async (node: Client | typeof world.store, sql: string): Promise<number[]> =>
    (JSON.parse(await rowsOf(node, sql)) as string[][]).map(([stamp]) => Date.parse(stamp as string));
  expect(await instants(world.store, "select updated_at from note order by id")).toEqual(
    await instants(world.hub, "select updated_at::text from note order by id"),
  );
});

const BIN = "/usr/lib/postgresql/15/bin";

test.skipIf(!existsSync(join(BIN, "pg_basebackup")) || process.getuid?.() !== 0)(
  "a standby is refused as a node, by name [needs Debian's PostgreSQL 15 and root to become postgres]",
  { timeout: 60_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "tombolo-standby-"));
    const [primary, standby] = [await freePort(), await freePort()];
    const shell = (script: string) => {
      const { status, stderr, stdout } = spawnSync("su", ["postgres", "-s", "/bin/sh", "-c", script], {
        encoding: "utf8",
        timeout: 40_000,
      });
      if (status !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
    };
    spawnSync("chown", ["postgres", folder]);
    const at = (name: string, verb: string, port = 0) =>
      shell(
        `${BIN}/pg_ctl -D ${folder}/${name} -w -l ${folder}/${name}.log -o "-p ${port} -k ${folder} -c listen_addresses=127.0.0.1" ${verb}`,
      );
    try {
      shell(`${BIN}/initdb -D ${folder}/primary -U postgres -A trust --no-sync >/dev/null`);
      at("primary", "start", primary);
      shell(`${BIN}/pg_basebackup -h 127.0.0.1 -p ${primary} -U postgres -D ${folder}/standby -R --no-sync -c fast`);
      at("standby", "start", standby);
      const client = new Client({ connectionString: `postgres://postgres@127.0.0.1:${primary}/postgres` });
      await client.connect();
      await client.query(NOTE.postgres);
      await client.end();
      const hubUrl = `postgres://postgres@127.0.0.1:${primary}/postgres`;
      const world = await noteWorldOn(hubUrl, `postgres://postgres@127.0.0.1:${standby}/postgres`);
      for (const verb of ["plan", "apply", "sync", "doctor"]) {
        const { code, stdout, stderr } = await world.command(verb, ...(verb === "apply" ? ["--yes"] : []));
        expect([verb, code === 0]).toEqual([verb, false]);
        expect(stdout + stderr, verb).toMatch(/POSTGRES_STANDBY/);
      }
    } finally {
      for (const name of ["standby", "primary"]) {
        try {
          at(name, "stop -m immediate");
        } catch {
          // it had not started
        }
      }
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

/** Both have the table already; the second cannot be written. */
async function noteWorldOn(hubUrl: string, replicaUrl: string): Promise<World> {
  const world = await openWorld({ tables: ["note"], postgres: "select 1", sqlite: NOTE.sqlite, hubUrl, replicaUrl });
  opened.push(world);
  return world;
}
