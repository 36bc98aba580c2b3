import { expect, test } from "vitest";
import { nodeName, packetNumber, START, tableName } from "../../replicator/change/names.ts";
import { postgresNode, type TestNode } from "../helpers/nodes.ts";
import { CHANNEL, context, HUB, packet, withDatabase } from "./database.ts";

const SCHEMA = "create table t (id integer primary key, v text)";

test("SQLite: what is captured is counted once, before it is purged; what a neighbour sent is not", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, application }) => {
    await node.target.meet([{ name: HUB, role: "parent" }]);
    application.exec("insert into t values (0, 'before')");
    expect(await node.installation.captured()).toEqual({ insert: 1, update: 0, delete: 0, truncate: 0 });
    application.exec("insert into t values (1, 'a'), (2, 'b'); update t set v = 'c' where id = 1; delete from t where id = 2");
    const shapes = await node.log.shapes([tableName("t")]);
    const row = { table: 0, op: "I", key: '{"id":{"i":"9"}}', old: null, new: '{"id":{"i":"9"},"v":"hub"}', changedAt: 1 } as const;
    await node.target.meet([{ name: nodeName("edge"), role: "child" }]);
    await node.target.apply(packet({ number: 1, changes: [[row]], shapes }), context("parent", ["t"]));
    const { position } = await node.log.tick();
    for (const peer of [HUB, nodeName("edge")]) await node.log.acknowledge(peer, [CHANNEL], position, packetNumber(1));
    expect(application.prepare("select count(*) from tombolo_change").pluck().get()).toBe(1n);
    expect(await node.installation.captured()).toEqual({ insert: 3, update: 1, delete: 1, truncate: 0 });
  });
});

test("SQLite: what is known of a neighbour is in its row, and is written only when it differs", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, application }) => {
    await node.target.meet([{ name: HUB, role: "parent" }]);
    const row = () => application.prepare("select pending_changes, clock_offset_ms from tombolo_peer").raw().get();
    const note = (pendingChanges: number, clockOffsetMs: number | null) =>
      node.installation.notePeers([{ name: HUB, pendingChanges, clockOffsetMs }]);
    await note(3, null);
    expect(row()).toEqual([3n, null]);
    await note(0, 1200);
    expect(row()).toEqual([0n, 1200n]);
    const version = application.pragma("data_version", { simple: true });
    await note(0, 1215);
    await note(0, null);
    expect(row()).toEqual([0n, 1200n]);
    expect(application.pragma("data_version", { simple: true })).toBe(version);
  });
});

test("news comes within 20 ms although the database was quiet for longer than it is polled", async () => {
  await withDatabase(SCHEMA, ["t"], async ({ node, application }) => {
    const signal = new AbortController().signal;
    let after = START;
    const took: number[] = [];
    for (const [id, quietMs] of [1700, 1600, 50].entries()) {
      const waiting = node.log.news(after, signal);
      await new Promise((resolve) => setTimeout(resolve, quietMs));
      const started = performance.now();
      application.exec(`insert into t values (${id}, 'a')`);
      await waiting;
      took.push(performance.now() - started);
      after = (await node.log.tick()).position;
    }
    // this machine may be busy; the safety net alone would take 500 ms
    expect(Math.max(...took)).toBeLessThan(100);
  });
});

const hubOf = (): Promise<TestNode> => postgresNode("hub", "create table t (id int primary key, v text)", [{ name: "t" }]);

test("Postgres: pending is what the neighbour has not acknowledged and is for it, with the time of the oldest", async () => {
  const { node, write, rows, close } = await hubOf();
  try {
    const edge = nodeName("edge");
    await node.target.meet([{ name: edge, role: "child" }]);
    const of = async () => (await node.installation.status()).peers.find(({ name }) => name === edge);
    await node.installation.captured();
    const first = await node.log.tick();
    await node.log.acknowledge(edge, [CHANNEL], first.position, packetNumber(1));
    expect(await of()).toMatchObject({ pendingChanges: 0, oldestPendingAt: null, openConflicts: 0, parkedChanges: 0 });
    const since = Date.now();
    await write("insert into t values (1, 'a'), (2, 'b')");
    await write("update t set v = 'c' where id = 1");
    await write("delete from t where id = 2");
    const waiting = await of();
    expect(waiting?.pendingChanges).toBe(4);
    expect(Math.abs((waiting?.oldestPendingAt ?? 0) / 1000 - since)).toBeLessThan(60_000);
    expect(await node.installation.captured()).toEqual({ insert: 2, update: 1, delete: 1, truncate: 0 });
    await node.installation.notePeers([{ name: edge, pendingChanges: 4, clockOffsetMs: -1500 }]);
    expect(await rows("select pending_changes, clock_offset_ms from tombolo.peer")).toEqual([["4", "-1500"]]);
    const { position } = await node.log.tick();
    await node.log.acknowledge(edge, [CHANNEL], position, packetNumber(2));
    expect((await of())?.pendingChanges).toBe(0);
    expect(await node.installation.captured()).toEqual({ insert: 2, update: 1, delete: 1, truncate: 0 });
  } finally {
    await close();
  }
});

test("Postgres: noting what is known of a neighbour does not wait for its packet", async () => {
  const { node, write, close } = await hubOf();
  try {
    const edge = nodeName("edge");
    await node.target.meet([{ name: edge, role: "child" }]);
    const holding = write("update tombolo.peer set reason = null; select pg_sleep(2)");
    const started = performance.now();
    await node.installation.notePeers([{ name: edge, pendingChanges: 1, clockOffsetMs: 0 }]);
    expect(performance.now() - started).toBeLessThan(1500);
    await holding;
  } finally {
    await close();
  }
});
