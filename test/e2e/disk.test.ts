import { chownSync, statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { freshDatabase, serverUrl } from "../helpers/postgres.ts";
import { smallDisk } from "../helpers/small-disk.ts";
import { equal, openWorld, rowsOf } from "./world.ts";

const probe = smallDisk(1);
probe?.remove();
const mayMount = probe !== null;

const TABLE = {
  postgres: "create table note (id int primary key, body text)",
  sqlite: "create table note (id integer primary key, body text)",
};
const ROWS = "select id, length(body) from note order by id";

test.skipIf(!mayMount)(
  "a full disk under a SQLite node: its application fails cleanly, the replicator says so and goes on once there is room [needs the right to mount]",
  {
    timeout: 60_000,
  },
  async () => {
    const disk = smallDisk(3);
    if (disk === null) throw new Error("it could be mounted a moment ago");
    const world = await openWorld({ tables: ["note"], ...TABLE, storePath: join(disk.path, "store.db") });
    try {
      await world.apply();
      const run = world.run();
      world.store.exec("insert into note values (1, 'store')");
      await equal([world.hub, world.replica, world.store], ROWS);
      disk.fill();
      expect(() => world.store.prepare("insert into note values (2, ?)").run("x".repeat(300_000))).toThrow(/full|disk/);
      await world.hub.query("insert into note select n, repeat('y', 2000) from generate_series(100, 400) n");
      await until("the replicator says why", () => run.stderr().includes("DISK_FULL"));
      // the others go on, and what could not be written is not there in part
      await world.replica.query("insert into note values (3, 'replica')");
      await until(
        "the replica's link goes on",
        async () => (await rowsOf(world.hub, "select body from note where id = 3")) === '[["replica"]]',
      );
      expect(await rowsOf(world.store, "select count(*) from note where id >= 100")).toBe("[[0]]");
      disk.empty();
      await equal([world.hub, world.replica, world.store], ROWS);
      world.store.exec("insert into note values (5, 'store again')");
      await equal([world.hub, world.replica, world.store], ROWS);
      expect(await rowsOf(world.store, "pragma integrity_check")).toBe('[["ok"]]');
      expect(await rowsOf(world.hub, "select count(*) from note where id = 2")).toBe('[["0"]]');
    } finally {
      await world.close();
      disk.remove();
    }
  },
);

test.skipIf(!mayMount)(
  "a full disk under a Postgres replica: nothing is parked or lost, the other links go on, and it recovers by itself [needs the right to mount]",
  {
    timeout: 60_000,
  },
  async ({ skip }) => {
    const disk = smallDisk(40);
    if (disk === null) throw new Error("it could be mounted a moment ago");
    const space = `small_${process.pid}`;
    const database = await freshDatabase();
    const owner = new Client({ connectionString: await serverUrl() });
    await owner.connect();
    const name = new URL(database.url).pathname.slice(1);
    try {
      const { rows } = await owner.query<{ data_directory: string }>("show data_directory");
      const owned = statSync(rows[0]?.data_directory ?? "", { throwIfNoEntry: false });
      if (owned === undefined) skip("the server is on another machine");
      else chownSync(disk.path, owned.uid, owned.gid);
      await owner.query(`create tablespace ${space} location '${disk.path}'`);
      await owner.query(`alter database ${name} set tablespace ${space}`);
      const world = await openWorld({ tables: ["note"], ...TABLE, replicaUrl: database.url });
      try {
        await world.apply();
        const run = world.run();
        world.store.exec("insert into note values (1, 'store')");
        await equal([world.hub, world.replica, world.store], ROWS);
        disk.fill();
        await world.hub.query("insert into note select n, repeat(md5(n::text), 100) from generate_series(100, 1100) n");
        await until("the replicator says why", () => run.stderr().includes("53100"));
        await equal([world.hub, world.store], ROWS);
        expect(await rowsOf(world.replica, "select count(*) from note where id >= 100")).toBe('[["0"]]');
        expect(await rowsOf(world.replica, "select count(*) from tombolo.parked_change")).toBe('[["0"]]');
        disk.empty();
        await equal([world.hub, world.replica, world.store], ROWS);
      } finally {
        await world.close();
      }
    } finally {
      await database.drop();
      await owner.query(`drop tablespace if exists ${space}`);
      await owner.end();
      disk.remove();
    }
  },
);
