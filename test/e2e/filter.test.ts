import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { start, tombolo, until } from "../helpers/command.ts";
import { freshDatabase, withClient } from "../helpers/postgres.ts";

const topology = (filter: string, region: string): string => `version: 1
name: filtered
nodes:
  - { name: hub, type: postgres, url: "\${HUB_URL}" }
  - { name: store, type: sqlite, path: ./store.db }
channels:
  - name: sales
    tables:
      - { name: shop.orders, filter: "${filter}" }
links:
  - { parent: hub, child: store, params: { region: ${region} }, channels: [sales] }
retry: { initial: 100ms, max: 500ms }
metrics: off
`;

test("a filter is checked by validate and plan, carried out by sync, and changed while run goes on", { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-filter-"));
  const database = await freshDatabase();
  const env = { HUB_URL: database.url };
  const file = join(folder, "topology.yaml");
  const write = (filter: string, region: string): void => writeFileSync(file, topology(filter, region));
  const store = new Database(join(folder, "store.db"), { timeout: 5_000 });
  try {
    store.exec("create table orders (id integer primary key, region text, note text)");
    await withClient(database.url, (client) =>
      client.query(
        "create schema shop; create table shop.orders (id int primary key, region text, note text); insert into shop.orders select i, case when i % 2 = 0 then 'north' else 'south' end, 'n' from generate_series(1, 10) as i",
      ),
    );
    const ids = (): string => store.prepare<[], number>("select id from orders order by id").pluck().all().join(" ");

    for (const [filter, code] of [
      ["region = :region) or (1 = 1", "FILTER_INVALID"],
      ["zone = :region", "FILTER_COLUMN"],
      ["note > now()::text and region = :region", "FILTER_NOT_PURE"],
      ["id = :region", "FILTER_PARAM"],
    ] as const) {
      write(filter, "north");
      const validated = await tombolo(["-c", file, "validate"], env);
      expect([validated.code, validated.stdout], filter).toEqual([2, expect.stringMatching(new RegExp(`topology.yaml:9:\\d+: ${code}: `))]);
      expect((await tombolo(["-c", file, "apply", "--yes"], env)).code, filter).toBe(2);
    }

    write("region = :region", "north");
    expect((await tombolo(["-c", file, "validate"], env)).stdout).toContain("valid");
    expect((await tombolo(["-c", file, "apply", "--yes"], env)).code).toBe(0);
    const synced = await tombolo(["-c", file, "sync"], env);
    expect([synced.code, synced.stdout]).toEqual([0, expect.stringContaining("5 received")]);
    expect(ids()).toBe("2 4 6 8 10");

    const run = start(["-c", file, "run"], env);
    try {
      await until("it runs", () => run.stderr().includes("store"));
      store.exec("insert into orders values (100, 'south', 'outside'), (102, 'north', 'inside')");
      await until("the outsider is taken back", () => ids() === "2 4 6 8 10 102");
      write("region = :region", "south");
      run.process.kill("SIGHUP");
      await until("the store has the other rows", () => ids() === "1 3 5 7 9");
      await until("the log says so", () => run.stderr().includes("SCOPE_CHANGED"));
    } finally {
      await run.stop();
    }
    const shown = await tombolo(["-c", file, "conflicts", "list"], env);
    expect(shown.stdout).toContain("filter");
  } finally {
    store.close();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
});
