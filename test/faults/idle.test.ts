import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import pg from "pg";
import { expect, test } from "vitest";
import { start, tombolo, until } from "../helpers/command.ts";
import { freshDatabase } from "../helpers/postgres.ts";

const FULL = process.env.TOMBOLO_FAULTS !== "smoke";
const CHILDREN = Number(process.env.TOMBOLO_CHILDREN ?? (FULL ? 50 : 8));
const SECONDS = FULL ? 30 : 6;
/** From the last change until everything is asleep, and looks around nearly as rarely as it ever does. */
const SETTLES_MS = FULL ? 45_000 : 8_000;
/** Of one processor, with fifty links. The goal is 1; 2.2 is what was measured. */
const LIMIT_PERCENT = FULL ? 4 : 6;
const TICKS_PER_SECOND = 100;

test.skipIf(process.platform !== "linux")(
  "fifty links at rest cost little of a processor, and a change leaves at once all the same [processor time is read from /proc]",
  { timeout: 240_000 },
  async () => {
    const database = await freshDatabase();
    const hub = new pg.Client({ connectionString: database.url });
    await hub.connect();
    await hub.query("create table note (id int primary key, body text)");
    const folder = mkdtempSync(join(tmpdir(), "tombolo-idle-"));
    const names = Array.from({ length: CHILDREN }, (_, at) => `store-${at}`);
    const stores = names.map((name) => {
      const store = new Database(join(folder, `${name}.db`), { timeout: 5_000 });
      store.exec("pragma journal_mode = wal; create table note (id integer primary key, body text)");
      return store;
    });
    const file = join(folder, "topology.yaml");
    writeFileSync(file, topology(folder, names));
    const env = { HUB_URL: database.url };
    const applied = await tombolo(["-c", file, "apply", "--yes"], env);
    expect(applied.code, applied.stderr).toBe(0);
    const run = start(["-c", file, "run", "--log-format", "json"], env);
    const everyone = (id: number): Promise<void> =>
      until(
        `row ${id} everywhere`,
        () => stores.every((store) => store.prepare("select 1 from note where id = ?").get(id) !== undefined),
        90_000,
      );
    try {
      await hub.query("insert into note values (1, 'first')");
      await everyone(1);
      await delay(SETTLES_MS);
      const backends = async (): Promise<number[]> => {
        const { rows } = await hub.query<{ pid: number }>(
          "select pid from pg_stat_activity where datname = current_database() and application_name like 'tombolo%'",
        );
        return rows.map(({ pid }) => pid);
      };
      const before = await backends();
      const from = { process: ticks(run.process.pid ?? 0), servers: before.map(ticks) };
      await delay(SECONDS * 1_000);
      const spent = { process: ticks(run.process.pid ?? 0) - from.process, servers: 0 };
      const after = new Set(await backends());
      for (const [at, pid] of before.entries()) if (after.has(pid)) spent.servers += ticks(pid) - (from.servers[at] ?? 0);
      const percent = (of: number): number => (100 * of) / TICKS_PER_SECOND / SECONDS;
      console.log(
        `${CHILDREN} links at rest: process ${percent(spent.process).toFixed(2)} %, its ${before.length} sessions ${percent(spent.servers).toFixed(2)} %`,
      );
      const started = performance.now();
      await hub.query("insert into note values (2, 'second')");
      await until("the change is at one child", () => stores[0]?.prepare("select 1 from note where id = 2").get() !== undefined);
      console.log(`a change after the rest: ${Math.round(performance.now() - started)} ms`);
      await everyone(2);
      console.log(`at all children: ${Math.round(performance.now() - started)} ms`);
      expect(percent(spent.process + spent.servers)).toBeLessThan(LIMIT_PERCENT);
    } finally {
      await run.stop();
      for (const store of stores) store.close();
      await hub.end();
      await database.drop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

/** Processor time of a process, user and system, in hundredths of a second. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

const topology = (folder: string, names: readonly string[]): string =>
  [
    "version: 1",
    "name: idle",
    "nodes:",
    '  - { name: hub, type: postgres, url: "${HUB_URL}" }',
    ...names.map((name) => `  - { name: ${name}, type: sqlite, path: ${join(folder, `${name}.db`)} }`),
    "channels:",
    "  - { name: all, tables: [ { name: public.note, conflict: parent_wins } ] }",
    "links:",
    ...names.map((name) => `  - { parent: hub, child: ${name}, channels: [ { name: all, direction: both } ] }`),
    "",
  ].join("\n");
