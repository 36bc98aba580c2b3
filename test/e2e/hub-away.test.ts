import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Client } from "pg";
import { expect, test } from "vitest";
import { startEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { freePort, start, tombolo, until } from "../helpers/command.ts";
import { durableServer } from "../helpers/postgres.ts";

const TABLE = "(id integer primary key, note text)";

test("in a tree of three levels the lower link goes on while the hub is down, and everything meets when it is back", {
  timeout: 90_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-tree-"));
  const server = await durableServer();
  const stores = ["region", "till"].map((name) => new Database(join(folder, `${name}.db`), { timeout: 5_000 }));
  const [region, till] = stores;
  const metrics = await freePort();
  const file = join(folder, "topology.yaml");
  writeFileSync(
    file,
    `version: 1
name: tree
nodes:
  - { name: hub, type: postgres, url: "\${HUB_URL}" }
  - { name: region, type: sqlite, path: ./region.db }
  - { name: till, type: sqlite, path: ./till.db }
channels: [{ name: sales, tables: [orders] }]
links:
  - { parent: hub, child: region, channels: [{ name: sales }] }
  - { parent: region, child: till, channels: [{ name: sales }] }
retry: { initial: 100ms, max: 1s }
metrics: { listen: "127.0.0.1:${metrics}" }
`,
  );
  const env = { HUB_URL: server.url };
  const hub = async <T extends object>(sql: string): Promise<readonly T[]> => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    try {
      return (await client.query<T>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const ids = (database: Database.Database | undefined) =>
    database?.prepare("select group_concat(id) from (select id from orders order by id)").pluck().get();
  const hubIds = async () => (await hub<{ ids: string }>("select string_agg(id::text, ',' order by id) as ids from orders"))[0]?.ids;
  await hub(`create table orders ${TABLE}`);
  for (const store of stores) store.exec(`create table orders ${TABLE}`);
  const applied = await tombolo(["-c", file, "apply", "--yes"], env);
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  const replicator = start(["-c", file, "run", "--log-format", "json"], env);
  try {
    await hub("insert into orders values (1, 'hub')");
    await until("the row of the hub is at the till", () => ids(till) === "1");
    await server.stop();
    await until("the lease is in doubt", () => replicator.stderr().includes("trying to take it again"));
    till?.exec("insert into orders values (2, 'till')");
    region?.exec("insert into orders values (3, 'region')");
    await until("region and till have all of it", () => ids(region) === "1,2,3" && ids(till) === "1,2,3");
    const away = await fetch(`http://127.0.0.1:${metrics}/metrics`).then((answer) => answer.text());
    expect(away).toMatch(/^tombolo_errors_total\{component="(link|lease)"/m);
    const back = await startEmbedded({ directory: server.directory, port: Number(new URL(server.url).port) });
    await until("the hub has everything", async () => (await hubIds()) === "1,2,3");
    await hub("insert into orders values (4, 'hub')");
    await until("and the till what the hub got afterwards", () => ids(till) === "1,2,3,4");
    await until("ready again", async () => (await fetch(`http://127.0.0.1:${metrics}/readyz`)).status === 200);
    expect((await replicator.stop("SIGTERM")).code).toBe(0);
    await back.stop();
  } finally {
    if (replicator.process.exitCode === null) await replicator.stop("SIGKILL");
    for (const store of stores) store.close();
    await server.remove();
    rmSync(folder, { recursive: true, force: true });
  }
});
