import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openWorld, rowsOf } from "../e2e/world.ts";
import { until } from "../helpers/command.ts";

/** Resident memory of the replicator, whatever the backlog; with values of 1 MB, whose parts are few and large. */
const LIMIT_MB = 250;
const LIMIT_OF_LARGE_VALUES_MB = 400;

test.skipIf(process.platform !== "linux")(
  "a transaction of 300 000 rows and one of 300 values of 1 MB go into both kinds of child in little memory [peak memory is read from /proc]",
  { timeout: 120_000 },
  async () => {
    const world = await openWorld({
      tables: ["note"],
      postgres: "create table note (id int primary key, body text)",
      sqlite: "create table note (id integer primary key, body text)",
    });
    try {
      await world.apply();
      const run = world.run();
      await world.hub.query("insert into note values (1, 'first')");
      const arrived = (count: number, bytes: number) =>
        until(
          `${count} rows in both children`,
          async () => {
            const sql = "select cast(count(*) as text), cast(sum(length(body)) as text) from note where id > 1";
            const rows = await Promise.all([rowsOf(world.replica, sql), rowsOf(world.store, sql)]);
            if (rows.every((row) => row === `[["${count}","${bytes}"]]`)) return true;
            throw new Error(rows.join(" "));
          },
          60_000,
        );
      await until("it runs", async () => (await rowsOf(world.store, "select count(*) from note")) === "[[1]]");
      await world.hub.query("insert into note select n, md5(n::text) || md5((n + 1)::text) from generate_series(2, 300001) n");
      await arrived(300_000, 300_000 * 64);
      const rows = peakMb(run.process.pid);
      await world.hub.query("insert into note select n, repeat(md5(n::text), 32768) from generate_series(400001, 400300) n");
      await arrived(300_300, 300_000 * 64 + 300 * 2 ** 20);
      const values = peakMb(run.process.pid);
      console.log(`peak of resident memory: ${rows} MB after the rows, ${values} MB after the large values`);
      expect(rows).toBeLessThan(LIMIT_MB);
      expect(values).toBeLessThan(LIMIT_OF_LARGE_VALUES_MB);
    } finally {
      await world.close();
    }
  },
);

function peakMb(pid = 0): number {
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
}
