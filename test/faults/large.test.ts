import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { equal, openWorld, rowsOf, type World } from "../e2e/world.ts";
import { until } from "../helpers/command.ts";

/**
 * How much is sent. At full size, some twenty minutes: TOMBOLO_LARGE_ROWS=5000000 TOMBOLO_LARGE_VALUES=1000 npm run test:faults -- large
 */
const ROWS = Number(process.env.TOMBOLO_LARGE_ROWS ?? 300_000);
const VALUES = Number(process.env.TOMBOLO_LARGE_VALUES ?? 300);
/** Resident memory of the replicator, whatever the backlog; with values of 1 MB, whose parts are few and large. */
const LIMIT_MB = 350;
const LIMIT_OF_LARGE_VALUES_MB = 400;
const VALUE_BYTES = 2 ** 20;
const PATIENCE_MS = 60_000 + (ROWS + VALUES * 500) / 4;

test.skipIf(process.platform !== "linux")(
  "a transaction of many rows, one of many values of 1 MB and a backlog of such values go into both kinds of child in little memory [peak memory is read from /proc]",
  { timeout: 4 * PATIENCE_MS },
  async () => {
    const world = await openNotes();
    try {
      await world.apply();
      const peaks = { rows: 0, values: 0, backlog: 0 };
      await replicating(world, async (pid) => {
        await world.hub.query(`insert into note select n, md5(n::text) || md5((n + 1)::text) from generate_series(1, ${ROWS}) n`);
        await arrived(world, { rows: ROWS, bytes: ROWS * 64, last: 64 });
        peaks.rows = peakMb(pid);
      });
      await replicating(world, async (pid) => {
        await world.hub.query(`insert into note select n, ${VALUE} from generate_series(${ROWS + 1}, ${ROWS + VALUES}) n`);
        await arrived(world, { rows: ROWS + VALUES, bytes: ROWS * 64 + VALUES * VALUE_BYTES, last: VALUE_BYTES });
        peaks.values = peakMb(pid);
      });
      for (let n = 1; n <= VALUES; n++) await world.hub.query(`update note set body = upper(body) || 'x' where id = ${ROWS + n}`);
      await replicating(world, async (pid) => {
        await arrived(world, { rows: ROWS + VALUES, bytes: ROWS * 64 + VALUES * (VALUE_BYTES + 1), last: VALUE_BYTES + 1 });
        peaks.backlog = peakMb(pid);
      });
      console.log(`peak of resident memory in MB: ${JSON.stringify(peaks)}`);
      expect(peaks.rows).toBeLessThan(LIMIT_MB);
      expect(peaks.values).toBeLessThan(LIMIT_OF_LARGE_VALUES_MB);
      expect(peaks.backlog).toBeLessThan(LIMIT_OF_LARGE_VALUES_MB);
    } finally {
      await world.close();
    }
  },
);

test.skipIf(process.env.TOMBOLO_FAULTS !== "full").each([
  [280, "CHANGE_TOO_LARGE"],
  [540, "VALUE_TOO_LARGE"],
])(
  "a value of %i MB stops its links by name (%s), the process goes on, and a resync passes over it [takes 3 GB of memory]",
  {
    timeout: 600_000,
  },
  async (megabytes, code) => {
    const world = await openNotes();
    try {
      await world.apply();
      const run = world.run();
      await world.hub.query("insert into note values (1, 'small')");
      await equal([world.hub, world.replica, world.store], ALL);
      await world.hub.query(`insert into note values (2, repeat('0123456789abcdef', ${megabytes * 2 ** 16}))`);
      const lines = (): string[] =>
        run
          .stderr()
          .split("\n")
          .filter((line) => line.includes(code));
      await until(
        "both links say so",
        () => ["replica", "store"].every((child) => lines().some((line) => line.includes(`"${child}"`))),
        300_000,
      );
      world.store.exec("insert into note values (3, 'from the store')");
      await world.hub.query("update note set body = 'no longer large' where id = 2");
      for (const child of ["replica", "store"]) expect(await world.command("nodes", "resync", child, "--yes")).toMatchObject({ code: 0 });
      await equal([world.hub, world.replica, world.store], ALL, 120_000);
      expect(await rowsOf(world.hub, ALL)).toBe('[[1,"small"],[2,"no longer large"],[3,"from the store"]]');
      expect(run.process.exitCode).toBeNull();
    } finally {
      await world.close();
    }
  },
);

const openNotes = (): Promise<World> =>
  openWorld({
    tables: ["note"],
    postgres: "create table note (id int primary key, body text)",
    sqlite: "create table note (id integer primary key, body text)",
  });

const ALL = "select id, body from note order by id";
const VALUE = `repeat(md5(n::text), ${VALUE_BYTES / 32})`;

/** A replicator of its own for the time of `work`, as its peak of memory never comes down. */
async function replicating(world: World, work: (pid: number) => Promise<void>): Promise<void> {
  const run = world.run();
  try {
    await work(run.process.pid ?? 0);
  } finally {
    await run.stop();
  }
}

/** `last`: bytes of the last row. To read them all again and again would take what the replicator needs. */
async function arrived(world: World, { rows, bytes, last }: { rows: number; bytes: number; last: number }): Promise<void> {
  const all = "select cast(count(*) as text), cast(sum(length(body)) as text) from note";
  const newest = `select cast(length(body) as text) from note where id = ${rows}`;
  for (const node of [world.replica, world.store]) {
    await until(
      `${rows} rows in both children`,
      async () => {
        if ((await rowsOf(node, newest)) !== `[["${last}"]]`) return false;
        const found = await rowsOf(node, all);
        if (found === `[["${rows}","${bytes}"]]`) return true;
        throw new Error(found);
      },
      PATIENCE_MS,
    );
  }
}

function peakMb(pid: number): number {
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
}
