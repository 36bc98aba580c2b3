import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { SyncService } from "../../replicator/edge/sync-service.ts";
import { issue } from "../../replicator/hub/issue.ts";
import { edgeWorld } from "../helpers/edge-world.ts";
import { openHub } from "../helpers/hub.ts";
import { both } from "../helpers/pair.ts";
import { copyOf, putInPlace } from "../helpers/put-in-place.ts";

const close: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of close.splice(0).reverse()) await each();
});

test("an edge's file in the place of which another is put while its service runs is opened by itself", async () => {
  const schema = both("create table item (id bigint primary key, note text)");
  const world = await edgeWorld({ engine: "sqlite", schema, tables: [{ name: "item" }] });
  close.push(() => world.close());
  const hub = await openHub({ topology: world.topology, nodes: [world.database.node], authenticate: "tokens" });
  close.push(() => hub.close());
  const folder = mkdtempSync(join(tmpdir(), "tombolo-replaced-"));
  close.push(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "shop.db");
  const open = (): Database.Database => {
    const file = new Database(path);
    file.pragma("journal_mode = wal");
    close.push(() => file.close());
    return file;
  };
  const before = open();
  before.exec(schema.sqlite);
  const wanted = { role: "node", name: null, node: "shop", group: "edges", params: {}, lifetimeMs: null, codeLifetimeMs: 60_000 } as const;
  const { secret } = await issue(world.database.node.tokens, world.topology, wanted, "test");
  const service = await SyncService.open({ database: path, enrol: { hub: hub.url, code: secret } });
  close.push(() => service.close());
  before.exec("insert into item values (1, 'shop')");
  await service.syncNow();
  putInPlace(path, await copyOf(path, `${path}.copy`));
  const after = open();
  after.exec("insert into item values (2, 'into the new one')");
  await world.database.write("insert into item values (3, 'hub')");
  await service.syncNow();
  const rows = "select id, note from item order by id";
  expect(after.prepare(rows).raw().all()).toEqual([
    [1, "shop"],
    [2, "into the new one"],
    [3, "hub"],
  ]);
  expect((await world.database.rows(rows)).map(([id]) => id)).toEqual(["1", "2", "3"]);
});
