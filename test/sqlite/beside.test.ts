import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { expect, test, vi } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { nodeName, packetNumber, START, tableName } from "../../replicator/change/names.ts";
import { DatabaseFile } from "../../replicator/node/sqlite/connection.ts";
import { sqliteNode, testLink } from "../helpers/nodes.ts";
import { CHANNEL, collect, context, HUB, packet, withDatabase } from "./database.ts";

vi.setConfig({ testTimeout: 60_000 });

const SCHEMA = "create table t (id integer primary key, v)";
const walBytes = (path: string): number => statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;

test("a tick flushes the application's commits with its own, however little the application flushes", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, path, application }) => {
    const file = new DatabaseFile({ node: nodeName("store"), path });
    try {
      const settings = [
        await file.exclusive(async (writer) => writer.pragma("synchronous", { simple: true })),
        await file.write(() => file.read((reader) => reader.pragma("synchronous", { simple: true }))),
      ];
      // full: a commit is in the file's WAL, with all that stands before it there, before it returns
      expect(settings).toEqual([2n, 2n]);
    } finally {
      await file.close();
    }
    application.pragma("synchronous = off");
    for (let id = 1; id <= 3; id++) {
      application.exec(`insert into t values (${id}, 'x')`);
      const before = walBytes(path);
      const { position } = await node.log.tick();
      expect(position).toBe(BigInt(id));
      // nothing is flushed by a transaction that writes nothing: what is told as sealed was committed behind the application's rows
      expect(walBytes(path)).toBeGreaterThan(before);
    }
  });
});

test("whoever reads the log slowly does not keep a checkpoint from emptying the WAL", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, path, application }) => {
    application.exec("with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000) insert into t select i, 'x' from n");
    for (let id = 5001; id <= 5100; id++) application.exec(`insert into t values (${id}, 'y')`);
    const { position } = await node.log.tick();
    const request = { reader: HUB, tables: [tableName("t")], after: START, upTo: position, maxRows: 100, maxBytes: 1 << 20 };
    const groups = node.log.read(request)[Symbol.asyncIterator]();
    let read = 0;
    for (let group = await groups.next(); !group.done; group = await groups.next()) {
      read += group.value.length;
      application.exec(`update t set v = 'again' where id = ${read}`);
      expect(application.pragma("wal_checkpoint(truncate)")).toEqual([{ busy: 0n, log: 0n, checkpointed: 0n }]);
      expect(walBytes(path)).toBe(0);
    }
    expect(read).toBe(5100);
  });
});

test("the WAL stays as small as the application's checkpoints make it, while the log is written, read and purged", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, path, application }) => {
    const store = nodeName("edge");
    await node.target.meet([{ name: store, role: "child" }]);
    let after = START;
    let largest = 0;
    for (let round = 1n; round <= 40n; round++) {
      application.exec(`insert or replace into t select ${round} * 4 + value, hex(randomblob(250000)) from json_each('[0,1,2,3]')`);
      const { position } = await node.log.tick();
      const request = { reader: store, tables: [tableName("t")], after, upTo: position, maxRows: 100, maxBytes: 1 << 20 };
      expect(await collect(node.log.read(request))).toHaveLength(4);
      await node.log.acknowledge(store, [CHANNEL], position, packetNumber(round));
      await node.installation.status();
      await node.log.purge();
      after = position;
      largest = Math.max(largest, walBytes(path));
    }
    // 160 MB were written, rows and log; a checkpoint comes after 4 MB, and one transaction of ours or theirs is on top
    expect(largest).toBeLessThan(24 * 2 ** 20);
  });
});

const inserts = (from: number, count: number): Change[] =>
  Array.from({ length: count }, (_, at) => {
    const key = `{"id":{"i":"${from + at}"}}`;
    return { table: 0, op: "I", key, old: null, new: key.replace("}}", '},"v":"peer"}'), changedAt: 1 };
  });

test("while the changes of a packet are still coming, the application writes", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, application }) => {
    await node.target.meet([{ name: HUB, role: "parent" }]);
    application.pragma("busy_timeout = 0");
    const shapes = await node.log.shapes([tableName("t")]);
    const made = packet({ number: 1, changes: [], shapes });
    async function* parts(): AsyncGenerator<Change[]> {
      for (let part = 1; part <= 5; part++) {
        yield inserts(part * 1000, 100);
        application.exec(`insert into t values (${part}, 'application')`);
      }
    }
    await node.target.apply({ ...made, parts: parts() }, context("parent", ["t"]));
    expect(application.prepare("select v, count(*) from t group by v order by v").raw().all()).toEqual([
      ["application", 5n],
      ["peer", 500n],
    ]);
  });
});

test("between two parts of a packet everything else in the process has its turn, and the application reads, and sees nothing of it", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, application }) => {
    await node.target.meet([{ name: HUB, role: "parent" }]);
    const shapes = await node.log.shapes([tableName("t")]);
    const changes = Array.from({ length: 10 }, (_, part) => inserts(part * 1000, 200));
    const seen: unknown[] = [];
    const parts: number[] = [];
    let applying = true;
    const others = (): void => {
      if (!applying) return;
      seen.push([parts.length, application.prepare("select count(*) from t").pluck().get()]);
      setImmediate(others);
    };
    setImmediate(others);
    const onPart = (rows: number): number => parts.push(rows);
    await node.target.apply(packet({ number: 1, changes, shapes }), context("parent", ["t"], { onPart }));
    applying = false;
    const during = seen.filter((each) => (each as [number])[0] > 0 && (each as [number])[0] < 10);
    // each of them between two others
    expect([...new Set(during.map((each) => (each as [number])[0]))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(new Set(during.map((each) => (each as [number, bigint])[1]))).toEqual(new Set([0n]));
  });
});

/**
 * What tools that copy the WAL elsewhere do (Litestream): a transaction that reads is always open, so that nobody else starts the WAL over;
 * only to checkpoint is it given up, which the tool does itself, in every mode, and writes to tables of its own in between.
 */
const WAL_TOOL = `
  const Database = require("better-sqlite3");
  const db = new Database(process.argv[1], { timeout: 1000 });
  db.pragma("wal_autocheckpoint = 0");
  db.exec("create table if not exists _tool_seq (id integer primary key, seq integer)");
  const modes = ["passive", "full", "restart", "truncate"];
  let rounds = 0, stopped = false;
  process.stdin.once("end", () => { stopped = true; }).resume();
  const reader = new Database(process.argv[1], { timeout: 1000 });
  const hold = () => { reader.exec("begin"); reader.prepare("select count(*) from _tool_seq").get(); };
  const step = () => {
    try {
      if (reader.inTransaction) reader.exec("rollback");
      db.pragma("wal_checkpoint(" + modes[rounds % 4] + ")");
      db.exec("insert into _tool_seq (id, seq) values (1, 1) on conflict (id) do update set seq = seq + 1");
      hold();
      rounds++;
    } catch (error) {
      if (!/^SQLITE_(BUSY|LOCKED)/.test(error.code)) throw error;
    }
    if (stopped) { console.log(rounds); process.exit(0); }
    setTimeout(step, 5);
  };
  console.log("begun");
  step();`;

async function walTool(path: string): Promise<{ stop(): Promise<number> }> {
  const tool = spawn(process.execPath, ["-e", WAL_TOOL, path], { stdio: ["pipe", "pipe", "inherit"] });
  const told: string[] = [];
  tool.stdout.setEncoding("utf8").on("data", (text: string) => told.push(text));
  await once(tool.stdout, "data");
  return {
    async stop() {
      if (tool.exitCode === null) {
        tool.stdin.end();
        await once(tool, "close");
      }
      return Number(told.join("").trim().split("\n").at(-1));
    },
  };
}

test("a tool that holds the WAL and checkpoints it by itself, at both ends of a link, costs no change", async () => {
  const tables = [{ name: "t" }];
  const hub = await sqliteNode("hub", SCHEMA, tables);
  const store = await sqliteNode("store", SCHEMA, tables);
  const tools = await Promise.all([hub, store].map(({ path }) => walTool(path)));
  try {
    const link = testLink(hub.node, store.node, tables);
    for (let round = 0; round < 40; round++) {
      await hub.write(`insert into t values (${round * 2}, 'hub'); update t set v = 'hub again' where id = ${round * 2 - 3}`);
      await store.write(`insert into t values (${round * 2 + 1}, 'store'); delete from t where id = ${round * 2 - 8}`);
      await link.settle();
      await Promise.all([hub, store].map(({ node }) => node.log.purge()));
    }
    const rows = await hub.rows("select id, v from t order by id");
    expect(await store.rows("select id, v from t order by id")).toEqual(rows);
    expect(rows.length).toBeGreaterThan(40);
    for (const tool of tools) expect(await tool.stop()).toBeGreaterThan(4);
  } finally {
    await Promise.all(tools.map((tool) => tool.stop()));
    await hub.close();
    await store.close();
  }
});
