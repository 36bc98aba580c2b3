import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import { channelName, nodeName, position, START, tableName } from "../../replicator/change/names.ts";
import { Edge } from "../../replicator/edge/edge.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import { type EdgeWorld, edgeWorld } from "../helpers/edge-world.ts";
import { openHub } from "../helpers/hub.ts";
import { silent, wanted } from "../helpers/nodes.ts";
import { both } from "../helpers/pair.ts";

const DDL = "create table item (id bigint primary key, note text)";
const ALL = channelName("all");
const ITEM = tableName("item");
const SIGNAL = new AbortController().signal;

const open: { close(): Promise<void> | void }[] = [];
let folder: string;
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Shop {
  readonly path: string;
  readonly edge: Edge;
  write(sql: string): void;
  rows(): string;
  /** As a backup takes it, or a careless copy. */
  copyTo(path: string): void;
  close(): Promise<void>;
}

/** An edge's file and the agent beside it; another one of the same name has the same credential. */
function shop(world: EdgeWorld, file: string, enrolled?: { readonly name: string }, url = world.hub.url): Shop {
  const name = enrolled?.name ?? "shop";
  const path = join(folder, file);
  const application = new Database(path, { timeout: 5_000 });
  application.pragma("journal_mode = wal");
  application.exec(DDL.replace("create table", "create table if not exists").replace("bigint", "integer"));
  const edge = new Edge({
    credential: { hub: url, node: name, token: `node~${name}~edges`, ca: null, fresh: enrolled !== undefined },
    database: path,
    openNode: () => openSqliteNode({ name: nodeName(name), path }),
    observer: silent,
    now: Date.now,
  });
  let closed = false;
  const made: Shop = {
    path,
    edge,
    write: (sql) => void application.exec(sql),
    rows: () => application.prepare("select group_concat(id || note, ' ') from (select * from item order by id)").pluck().get() as string,
    copyTo: (to) => void application.exec(`vacuum into '${join(folder, to)}'`),
    async close() {
      if (closed) return;
      closed = true;
      await edge.close();
      application.close();
    },
  };
  open.push(made);
  return made;
}

async function opened(engine: "postgres" | "sqlite"): Promise<EdgeWorld> {
  folder = mkdtempSync(join(tmpdir(), "tombolo-copies-"));
  const world = await edgeWorld({ engine, schema: both(DDL), tables: [{ name: "item" }] });
  open.push(world);
  return world;
}

async function begin(engine: "postgres" | "sqlite"): Promise<{ world: EdgeWorld; first: Shop }> {
  const world = await opened(engine);
  await world.database.write("insert into item values (1, 'a')");
  const first = shop(world, "shop.db");
  first.write("insert into item values (10, 'mine')");
  await first.edge.sync(SIGNAL);
  return { world, first };
}

/** A copy of an edge's file, made after it was enrolled and before its first exchange. */
async function beginWithCopy(engine: "postgres" | "sqlite"): Promise<{ world: EdgeWorld; first: Shop; copy: Shop }> {
  const world = await opened(engine);
  await world.database.write("insert into item values (1, 'a')");
  const first = shop(world, "shop.db");
  // what an agent does whose line breaks before the exchange
  const node = await openSqliteNode({ name: nodeName("shop"), path: first.path });
  await node.installation.apply(wanted([{ name: "item" }], "sqlite"));
  await node.target.meet([{ name: nodeName("hub"), role: "parent" }]);
  await node.close();
  await world.database.node.target.meet([{ name: nodeName("shop"), role: "child" }]);
  first.copyTo("copy.db");
  return { world, first, copy: shop(world, "copy.db") };
}

const hubRows = async (world: EdgeWorld): Promise<string> =>
  (await world.database.rows("select id, note from item order by id")).map((row) => row.join("")).join(" ");

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  test("two copies of one edge: the one that comes second with changes of its own is told, and changes nothing", async () => {
    const { world, first } = await begin(engine);
    first.copyTo("copy.db");
    const copy = shop(world, "copy.db");
    first.write("insert into item values (11, 'first')");
    copy.write("insert into item values (11, 'copy'), (12, 'copy')");
    await first.edge.sync(SIGNAL);
    await expect(copy.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK", kind: "operator" });
    expect(await hubRows(world)).toBe("1a 10mine 11first");
    expect(copy.rows()).toBe("1a 10mine 11copy 12copy");
    // the other goes on
    first.write("insert into item values (13, 'first')");
    expect(await first.edge.sync(SIGNAL)).toMatchObject({ sent: 1 });
    await expect(copy.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK" });
  });

  test("a copy that only listens is told as well, once the other has gone on", async () => {
    const { world, first } = await begin(engine);
    first.copyTo("copy.db");
    await world.database.write("insert into item values (2, 'b')");
    await first.edge.sync(SIGNAL);
    await first.edge.sync(SIGNAL);
    const copy = shop(world, "copy.db");
    await expect(copy.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK" });
    expect(copy.rows()).toBe("1a 10mine");
  });

  test("a copy that says the same again and again is told, though the other goes on at another process", async () => {
    const { world, first } = await begin(engine);
    const other = await openHub({ topology: world.topology, nodes: [world.database.node] });
    open.push(other);
    first.copyTo("copy.db");
    const copy = shop(world, "copy.db", undefined, other.url);
    for (let time = 0; time < 2; time++) await copy.edge.exchange({ final: true, signal: SIGNAL });
    await world.database.write("insert into item values (2, 'b')");
    await first.edge.sync(SIGNAL);
    await first.edge.sync(SIGNAL);
    await expect(copy.edge.exchange({ final: true, signal: SIGNAL })).rejects.toMatchObject({ code: "PACKET_FORK" });
    expect(copy.rows()).toBe("1a 10mine");
  });

  test("an edge that was put back to an earlier day, and written to since, does not lose what it wrote in silence", async () => {
    const { world, first } = await begin(engine);
    first.copyTo("backup.db");
    first.write("insert into item values (11, 'lost with the machine'), (12, 'too')");
    await first.edge.sync(SIGNAL);
    await first.close();
    copyFileSync(join(folder, "backup.db"), join(folder, "restored.db"));
    const restored = shop(world, "restored.db");
    // these get the very numbers in the log that the hub has seen before
    restored.write("insert into item values (21, 'after'), (22, 'too')");
    await expect(restored.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK" });
    expect(restored.rows()).toBe("1a 10mine 21after 22too");
    expect(await hubRows(world)).toBe("1a 10mine 11lost with the machine 12too");
  });

  test("a copy that is enrolled under a name of its own begins anew, and all that it holds is judged", async () => {
    const { world, first } = await begin(engine);
    first.copyTo("copy.db");
    first.write("insert into item values (11, 'first')");
    await first.edge.sync(SIGNAL);
    const copy = shop(world, "copy.db", { name: "other" });
    copy.write("insert into item values (12, 'copy')");
    await copy.edge.sync(SIGNAL);
    expect(await hubRows(world)).toBe("1a 10mine 11first 12copy");
    expect(copy.rows()).toBe("1a 10mine 11first 12copy");
    await first.edge.sync(SIGNAL);
    expect(first.rows()).toBe("1a 10mine 11first 12copy");
    // an edge whose token was only lost, and that was enrolled anew, goes on where it was
    await copy.close();
    const again = shop(world, "copy.db", { name: "other" });
    expect(await again.edge.sync(SIGNAL)).toEqual({ sent: 0, received: 0, conflicts: 0, open: 0, parked: 0 });
  });

  test("a copy that was made before the first exchange: the one that comes second is told, and changes nothing", async () => {
    const { world, first, copy } = await beginWithCopy(engine);
    // it has more to tell than the copy: the hub does not stand beyond its log
    for (let id = 20; id < 30; id++) first.write(`insert into item values (${id}, 'first')`);
    copy.write("insert into item values (12, 'copy')");
    // the hub has not heard yet that the copy has what it was sent
    await copy.edge.exchange({ final: true, signal: SIGNAL });
    await expect(first.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK", kind: "operator" });
    expect(first.rows()).toMatch(/^20first .* 29first$/);
    expect(await hubRows(world)).toBe("1a 12copy");
    copy.write("insert into item values (13, 'copy')");
    expect(await copy.edge.sync(SIGNAL)).toMatchObject({ sent: 1 });
  });

  describe.each([
    { which: "the copy", speaks: (first: Shop, copy: Shop) => [copy, first] as const },
    { which: "the edge", speaks: (first: Shop, copy: Shop) => [first, copy] as const },
  ])("a copy from before the first exchange, and $which speaks first but brings no packet", ({ speaks }) => {
    test("the one that comes second is told, and nothing of either is passed over", async () => {
      const { world, first, copy } = await beginWithCopy(engine);
      const [early, late] = speaks(first, copy);
      // its log is shorter, and then longer, than what the other one starts at
      for (let id = 20; id < 24; id++) early.write(`insert into item values (${id}, 'early')`);
      late.write("insert into item values (12, 'late')");
      // as if its line had broken right after its tables were started
      const node = await openSqliteNode({ name: nodeName("shop"), path: early.path });
      const at = await node.tables.seed(nodeName("hub"), [ITEM]);
      await node.close();
      await world.database.node.target.start(nodeName("shop"), ALL, [ITEM], at);
      for (let id = 30; id < 50; id++) late.write(`insert into item values (${id}, 'late')`);
      await expect(late.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK", kind: "operator" });
      await expect(late.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK", kind: "operator" });
      await early.edge.sync(SIGNAL);
      expect(await hubRows(world)).toBe("1a 20early 21early 22early 23early");
    });
  });

  test("a copy that starts its tables where the edge has done so before is told, and nothing of the edge's is passed over", async () => {
    const { world, first } = await begin(engine);
    first.write("insert into item values (11, 'first')");
    const at = await world.database.node.target.peer(nodeName("shop")).then(({ channels }) => channels.get(ALL)?.position ?? START);
    const starting = world.database.node.target.start(nodeName("shop"), ALL, [ITEM], position(at + 7n));
    await expect(starting).rejects.toMatchObject({ code: "PACKET_FORK", kind: "operator" });
    // a request that was long under way is no copy
    await world.database.node.target.start(nodeName("shop"), ALL, [ITEM], START);
    await first.edge.sync(SIGNAL);
    expect(await hubRows(world)).toBe("1a 10mine 11first");
  });

  test("another agent over the same file is no copy: both go on", async () => {
    const { world, first } = await begin(engine);
    const second = shop(world, "shop.db");
    for (let round = 0; round < 3; round++) {
      first.write(`insert into item values (${100 + round}, 'x')`);
      await Promise.all([first.edge.sync(SIGNAL), second.edge.sync(SIGNAL)]);
    }
    await first.edge.sync(SIGNAL);
    expect(await hubRows(world)).toBe("1a 10mine 100x 101x 102x");
    expect(first.rows()).toBe("1a 10mine 100x 101x 102x");
  });
});

test("a hub that was put back to an earlier day is found out by its edges", async () => {
  const world = await opened("sqlite");
  const first = shop(world, "shop.db");
  await first.edge.sync(SIGNAL);
  const hub = new Database((world.database as unknown as { path: string }).path);
  hub.exec(`vacuum into '${join(folder, "hub-backup.db")}'`);
  first.write("insert into item values (1, 'sent')");
  await first.edge.sync(SIGNAL);
  // the tables of the backup over those of the database: what a restore in place comes to
  const tables = hub.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite%'").pluck().all() as string[];
  hub.pragma("foreign_keys = off");
  hub.exec(`attach '${join(folder, "hub-backup.db")}' as backup; begin`);
  const triggers = hub.prepare("select name, sql from sqlite_schema where type = 'trigger'").all() as { name: string; sql: string }[];
  for (const { name } of triggers) hub.exec(`drop trigger "${name}"`);
  for (const name of tables) hub.exec(`delete from main."${name}"; insert into main."${name}" select * from backup."${name}"`);
  for (const { sql } of triggers) hub.exec(sql);
  hub.exec("commit");
  hub.close();
  await expect(first.edge.sync(SIGNAL)).rejects.toMatchObject({ code: "PACKET_FORK" });
  expect(first.rows()).toBe("1sent");
});
