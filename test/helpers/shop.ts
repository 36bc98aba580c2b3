import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Client } from "pg";
import { type Environment, freePort } from "./command.ts";
import { type FreshDatabase, freshDatabase } from "./postgres.ts";

/** A small shop: a Postgres hub and SQLite stores with one table, and the topology file that joins them. */
export interface Shop {
  readonly folder: string;
  readonly file: string;
  readonly database: FreshDatabase;
  readonly hub: Client;
  readonly env: Environment;
  /** Where `run` serves metrics. */
  readonly url: string;
  store(name: string): Database.Database;
  /** Rows of the table at the hub, `id:note` in order of id. */
  hubRows(): Promise<string>;
  storeRows(name: string): string;
  close(): Promise<void>;
}

const TABLE = "(id integer primary key, note text, qty integer not null default 0)";

/** @param options.stores are made unless `missing` names them. */
export async function openShop(
  options: { readonly stores?: readonly string[]; readonly missing?: readonly string[]; readonly conflict?: string } = {},
): Promise<Shop> {
  const { stores = ["store-1"], missing = [], conflict = "parent_wins" } = options;
  const folder = mkdtempSync(join(tmpdir(), "tombolo-shop-"));
  const database = await freshDatabase();
  const hub = new Client({ connectionString: database.superUrl });
  await hub.connect();
  await hub.query(`create schema shop; create table shop.orders ${TABLE}`);
  const files = new Map<string, Database.Database>();
  const store = (name: string): Database.Database => {
    const open = files.get(name) ?? new Database(join(folder, `${name}.db`), { timeout: 5_000 });
    files.set(name, open);
    open.exec(`create table if not exists orders ${TABLE}`);
    return open;
  };
  for (const name of stores) if (!missing.includes(name)) store(name);
  const file = join(folder, "topology.yaml");
  writeFileSync(file, topologyText(stores, conflict));
  const port = await freePort();
  return {
    folder,
    file,
    database,
    hub,
    env: { HUB_URL: database.url, METRICS_PORT: String(port) },
    url: `http://127.0.0.1:${port}`,
    store,
    async hubRows() {
      const { rows } = await hub.query<{ row: string }>("select id || ':' || coalesce(note, '') as row from shop.orders order by id");
      return rows.map(({ row }) => row).join(" ");
    },
    storeRows: (name) =>
      store(name).prepare<[], string>("select id || ':' || coalesce(note, '') from orders order by id").pluck().all().join(" "),
    async close() {
      for (const open of files.values()) open.close();
      await hub.end();
      await database.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function topologyText(stores: readonly string[], conflict: string): string {
  return [
    "version: 1",
    "name: shop",
    "nodes:",
    `  - { name: hub, type: postgres, url: "\${HUB_URL}" }`,
    ...stores.map((name) => `  - { name: ${name}, type: sqlite, path: ./${name}.db }`),
    "channels:",
    `  - { name: sales, tables: [{ name: shop.orders, conflict: ${conflict} }] }`,
    "links:",
    ...stores.map((name) => `  - { parent: hub, child: ${name}, channels: [{ name: sales, direction: both }] }`),
    "retry: { initial: 100ms, max: 1s }",
    `metrics: { listen: "127.0.0.1:\${METRICS_PORT}" }`,
    "",
  ].join("\n");
}
