import { expect, test } from "vitest";
import { channelName, nodeName, type Position, packetNumber, START, tableName } from "../../replicator/change/names.ts";
import { until } from "../helpers/command.ts";
import { CHANNEL, collect, context, HUB, packet, readAll, withDatabase } from "./database.ts";

const SCHEMA = "create table t (id integer primary key, v); create table other (id integer primary key references t)";
const rows = (database: { prepare(sql: string): { pluck(): { get(): unknown } } }, table = "tombolo_change"): number =>
  Number(database.prepare(`select count(*) from ${table}`).pluck().get());

test("a tick is made only for something new, and tells how much of every neighbour was applied", async () => {
  await withDatabase(SCHEMA, ["t", "other"], async ({ node, application }) => {
    expect(await node.log.tick()).toEqual({ position: START, seen: {} });
    application.exec("insert into t values (1, 'a')");
    const first = await node.log.tick();
    expect(await Promise.all([node.log.tick(), node.log.tick()])).toEqual([first, first]);
    expect(rows(application, "tombolo_tick")).toBe(1);
    await node.target.meet([{ name: HUB, role: "parent" }]);
    const shapes = await node.log.shapes([tableName("t")]);
    await node.target.apply(packet({ number: 1, changes: [[]], shapes, upTo: 70n }), context("parent", ["t"]));
    expect(await node.log.tick()).toEqual({ ...first, seen: { hub: { [CHANNEL]: 70n } } });
  });
});

test("news comes within 20 ms of a commit of another connection, and waits while there is none", async () => {
  await withDatabase(SCHEMA, ["t", "other"], async ({ node, application }) => {
    const quiet = new AbortController();
    let woken = false;
    const waiting = node.log.news(START, quiet.signal).then(() => {
      woken = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(woken).toBe(false);
    application.exec("insert into t values (1, 'a')");
    await waiting;
    await node.log.news(START, quiet.signal);
    const aborted = node.log.news((await node.log.tick()).position, quiet.signal);
    quiet.abort();
    await aborted;
  });
});

test("the log is purged below what its readers have acknowledged, never its newest row, and then says that it no longer reaches back", async () => {
  await withDatabase(SCHEMA, ["t", "other"], async ({ node, application }) => {
    await node.target.meet([
      { name: nodeName("edge-1"), role: "child" },
      { name: nodeName("edge-2"), role: "child" },
    ]);
    application.exec("with recursive n (i) as (select 1 union all select i + 1 from n where i < 2500) insert into t select i, 'x' from n");
    const { position } = await node.log.tick();
    await node.log.acknowledge(nodeName("edge-1"), [CHANNEL], position, packetNumber(1));
    await node.log.acknowledge(nodeName("edge-2"), [CHANNEL], 1000n as Position, packetNumber(1));
    expect(rows(application)).toBe(1500);
    await expect(readAll(node, ["t"], { after: 999n as Position })).rejects.toMatchObject({ code: "POSITION_UNKNOWN", kind: "operator" });
    expect((await readAll(node, ["t"], { after: 1000n as Position })).changes).toHaveLength(1500);
    expect((await node.installation.status()).peers.map(({ pendingChanges }) => pendingChanges)).toEqual([0, 1500]);
    await node.log.acknowledge(nodeName("edge-2"), [CHANNEL], position, packetNumber(2));
    // bit by bit, beside whoever acknowledged
    await until("only the newest row is left", () => rows(application) === 1);
    application.exec("delete from t where id = 1");
    expect((await node.log.tick()).position).toBe(2501n);
  });
});

test("what a snapshot's reader has not acknowledged yet is not purged because others have", async () => {
  await withDatabase(SCHEMA, ["t", "other"], async ({ node, application }) => {
    await node.target.meet([
      { name: nodeName("old"), role: "child" },
      { name: nodeName("new"), role: "child" },
    ]);
    application.exec("insert into t values (1, 'a')");
    // both read already, the new one another channel
    const before = await node.log.tick();
    await node.log.acknowledge(nodeName("old"), [CHANNEL], before.position, packetNumber(1));
    await node.log.acknowledge(nodeName("new"), [channelName("another")], before.position, packetNumber(1));
    const snapshot = await node.tables.open([tableName("t")]);
    // the newest is never purged
    application.exec("insert into t values (2, 'b'); insert into t values (3, 'c')");
    // neither hole nor overlap
    expect((await collect(snapshot.rows(10, 1000))).map(({ key }) => key)).toEqual(['{"id":{"i":"1"}}']);
    await snapshot.close();
    const { position } = await node.log.tick();
    await node.log.acknowledge(nodeName("old"), [CHANNEL], position, packetNumber(2));
    await node.log.purge();
    const { changes } = await readAll(node, ["t"], { after: snapshot.tick.position, reader: "new" });
    expect(changes.map(({ key }) => key)).toEqual(['{"id":{"i":"2"}}', '{"id":{"i":"3"}}']);
  });
});

test("a log that nobody reads is purged when its neighbours say so", async () => {
  await withDatabase(SCHEMA, ["t", "other"], async ({ node, application }) => {
    await node.target.meet([{ name: HUB, role: "parent" }]);
    application.exec("insert into t values (1, 'a'), (2, 'b'), (3, 'c')");
    const { position } = await node.log.tick();
    await node.log.acknowledge(HUB, [channelName("-")], position, packetNumber(0));
    expect(rows(application)).toBe(1);
  });
});

test("a seed is what the tables hold, once, for one peer; what is refreshed is for one peer too", async () => {
  await withDatabase(SCHEMA, ["t", "other"], async ({ node, application }) => {
    await node.target.meet([
      { name: HUB, role: "parent" },
      { name: nodeName("edge"), role: "child" },
    ]);
    application.exec("insert into t values (1, 'a'), (2, 'b'); insert into other values (1)");
    const before = (await node.log.tick()).position;
    const tables = ["other", "t"].map(tableName);
    const at = await node.tables.seed(HUB, tables);
    expect(await node.tables.seed(HUB, tables)).toBe(at);
    const seeded = await readAll(node, ["other", "t"], { after: at });
    expect(seeded.changes.map(({ table, op, key }) => [table, op, key])).toEqual([
      [1, "I", '{"id":{"i":"1"}}'],
      [1, "I", '{"id":{"i":"2"}}'],
      [0, "I", '{"id":{"i":"1"}}'],
    ]);
    expect((await readAll(node, ["t"], { after: before, reader: "edge" })).changes).toEqual([]);
    await node.log.refresh(nodeName("edge"), [
      { table: tableName("t"), key: '{"id":{"i":"1"}}' },
      { table: tableName("t"), key: '{"id":{"i":"9"}}' },
    ]);
    const { changes } = await readAll(node, ["t"], { after: before, reader: "edge" });
    expect(changes.map(({ op, new: row }) => [op, row])).toEqual([
      ["R", '{"id":{"i":"1"},"v":"a"}'],
      ["R", null],
    ]);
    expect((await readAll(node, ["t"], { after: seeded.position })).changes).toEqual([]);
  });
});

test("many writers in other processes and an applier do not get in each other's way", async () => {
  await withDatabase(SCHEMA, ["t", "other"], async ({ node, application }) => {
    await node.target.meet([{ name: HUB, role: "parent" }]);
    application.pragma("busy_timeout = 5000");
    const shapes = await node.log.shapes([tableName("t")]);
    // the application holds the write lock while the packet comes; it is released later, in the same process
    application.exec("begin immediate; insert into t values (1, 'application')");
    const row = { table: 0, op: "I", key: '{"id":{"i":"2"}}', old: null, new: '{"id":{"i":"2"},"v":"peer"}', changedAt: 1 } as const;
    const applying = node.target.apply(packet({ number: 1, changes: [[row]], shapes }), context("parent", ["t"]));
    await new Promise((resolve) => setTimeout(resolve, 100));
    application.exec("commit");
    expect(await applying).toMatchObject({ applied: { insert: 1 } });
    expect(rows(application, "t")).toBe(2);
  });
});
