import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import pg from "pg";
import { expect, test } from "vitest";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { freshDatabase } from "../helpers/postgres.ts";
import { random } from "../helpers/random.ts";

const FULL = process.env.TOMBOLO_FAULTS !== "smoke";
const ROUNDS = Number(process.env.TOMBOLO_KILLS ?? (FULL ? 40 : 4));
const SEED = Number(process.env.TOMBOLO_SEED ?? 1);
/** What a round writes at each side. */
const ROWS = 30;

test(`the hub and the edge are killed ${ROUNDS} times, in the middle of what they do: both end equal, and everything counts once`, {
  timeout: ROUNDS * 20_000 + 180_000,
}, async () => {
  const { int, pick } = random(SEED);
  const database = await freshDatabase();
  const hub = new pg.Client({ connectionString: database.url });
  await hub.connect();
  await hub.query(
    "create table item (id bigint primary key, note text); create table sum (id bigint primary key, n bigint); insert into sum values (1, 0)",
  );
  const folder = mkdtempSync(join(tmpdir(), "tombolo-kills-"));
  const [topology, path] = [join(folder, "topology.yaml"), join(folder, "store.db")];
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(
    topology,
    `version: 1
name: kills
nodes: [{ name: hub, type: postgres, url: "${database.url}" }]
channels: [{ name: all, tables: [{ name: item, conflict: child_wins }, { name: sum, conflict: { policy: merge, columns: { n: counter } } }] }]
groups: [{ name: stores, parent: hub, channels: [all] }]
hub: { listen: "127.0.0.1:${port}" }
metrics: off
`,
  );
  const store = new Database(path, { timeout: 10_000 });
  store.exec(
    "pragma journal_mode = wal; create table item (id integer primary key, note text); create table sum (id integer primary key, n integer)",
  );
  const processes: { hub?: Started; edge?: Started } = {};
  const begin = {
    hub: () => start(["-c", topology, "serve", "--log-format", "json"]),
    edge: () => start(["edge", "--database", path, "--interval", "1s", "--log-format", "json"]),
  };
  try {
    const applied = await tombolo(["-c", topology, "apply", "--yes"]);
    expect(applied.code, applied.stderr).toBe(0);
    processes.hub = begin.hub();
    await until("the hub answers", async () => (await fetch(`${url}/v1/ping`)).ok);
    const made = await tombolo(["-c", topology, "tokens", "create", "--role", "node", "--group", "stores", "--node", "store"]);
    processes.edge = start(["edge", "--database", path, "--hub", url, "--code", made.stdout.trim(), "--log-format", "json"]);
    await until("the edge is filled", () => store.prepare("select 1 from sum").get() !== undefined, 60_000);

    let sum = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const upload = store.transaction((id: number) => {
        store.prepare("insert into item values (?, 'edge')").run(id);
        store.prepare("update sum set n = n + 1").run();
      });
      for (let at = 0; at < ROWS; at++) upload(1_000_000 + round * ROWS + at);
      await hub.query("insert into item select $1::bigint + i, 'hub' from generate_series(0, $2::int - 1) i", [
        2_000_000 + round * ROWS,
        ROWS,
      ]);
      await hub.query("update sum set n = n + 1000");
      sum += ROWS + 1_000;
      const victim = pick(["hub", "edge"] as const);
      // before anything of the round travels, in the middle of it, or after it
      await delay(int(400));
      await processes[victim]?.stop("SIGKILL");
      processes[victim] = begin[victim]();
    }
    const counted = async (): Promise<string[]> => {
      const { rows } = await hub.query<{ rows: string; n: string }>(
        "select (select count(*) from item)::text as rows, (select n from sum)::text as n",
      );
      const there = `${rows[0]?.rows} ${rows[0]?.n}`;
      const [rowsHere, nHere] = store.prepare("select (select count(*) from item), (select n from sum)").raw().get() as number[];
      return [there, `${rowsHere} ${nHere}`];
    };
    const all = `${2 * ROUNDS * ROWS} ${sum}`;
    await until("both have all of it", async () => (await counted()).every((each) => each === all), 120_000).catch(
      async (cause: unknown) => {
        throw new Error(
          `expected ${all}, the hub and the edge have ${(await counted()).join(" and ")}: ${processes.edge?.stderr().slice(-2_000)}`,
          { cause },
        );
      },
    );
    const select = "select id, note from item order by id";
    const { rows } = await hub.query<{ id: string; note: string }>(select);
    expect(
      store
        .prepare(select)
        .all()
        .map((row) => Object.values(row as object).join(" ")),
    ).toEqual(rows.map(({ id, note }) => `${id} ${note}`));
  } finally {
    for (const each of Object.values(processes)) await each.stop("SIGKILL");
    store.close();
    await hub.end();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
});
