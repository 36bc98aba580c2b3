import Database from "better-sqlite3";
import pg from "pg";
import { afterEach, expect, test, vi } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { Lifeline } from "../../replicator/full-sync/lifeline.ts";
import { beginAnew } from "../../replicator/full-sync/resync.ts";
import { planSync } from "../../replicator/full-sync/sync-plan.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { agreeing, syncFully } from "../helpers/full-sync.ts";
import { CAPTURE, type Capture, postgresNode, sqliteNode, testLink, testTopology } from "../helpers/nodes.ts";

const SCHEMA = "create table product (id bigint primary key, name text)";
const TABLES = [{ name: "product" }];

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const one of close.splice(0).reverse()) await one();
});

const postgres = async (name: string, capture: Capture = CAPTURE) => {
  const node = await postgresNode(name, SCHEMA, TABLES, { capture });
  close.push(() => node.close());
  return node;
};

async function session({ url }: { readonly url: string }): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  close.push(() => client.end());
  return client;
}

/** The session of ours that waits for a lock on what is called so; null where none does. */
async function waiting(looker: pg.Client, relation: string): Promise<string | null> {
  const { rows } = await looker.query<{ pid: string }>(
    `select pid::text from pg_stat_activity where datname = current_database() and application_name like 'tombolo %' and wait_event_type = 'Lock' and query like $1`,
    [`%${relation}%`],
  );
  return rows[0]?.pid ?? null;
}

test("a hand-over that gives way to applications is tried again until it goes through", async () => {
  const [parent, child] = [await postgres("hub"), await postgres("store")];
  await parent.write("insert into product select i, 'thing' from generate_series(1, 100) as i");
  await testLink(parent.node, child.node, TABLES).settle();
  await drift(child, "update product set name = 'drifted' where id = 7");
  const [holder, behind, looker] = [await session(child.database), await session(child.database), await session(child.database)];
  await holder.query("begin; update product set name = 'held' where id = 1");
  const notes: string[] = [];
  const syncing = syncFully(parent.node, child.node, TABLES, { watcher: { ...agreeing, note: (text) => void notes.push(text) } });
  await until("the hand-over waits for the table", async () => (await waiting(looker, "lock table")) !== null);
  // goes through although the first has not ended: the hand-over takes itself out of the way
  await behind.query("insert into product values (1000, 'meanwhile')");
  await holder.query("rollback");
  expect(await syncing).toMatchObject({ state: "done", receipt: { applied: { update: 1 } } });
  expect(notes.filter((note) => note.includes("APPLY_GAVE_WAY"))).toHaveLength(1);
  expect(await child.rows("select id, name from product where id in (1, 7, 1000) order by id")).toEqual([
    ["1", "thing"],
    ["7", "thing"],
    ["1000", "meanwhile"],
  ]);
});

test("a run says that it lives although its hand-over holds what is kept of it", async () => {
  const node = await postgres("store");
  const { runs } = node.node.copies;
  const start = { peer: nodeName("hub"), direction: "pull", tables: [], resume: false } as const;
  const progress = { rows: 5, bytes: 0, estimatedRows: 0, position: null } as const;
  const target = await runs.begin({ ...start, side: "target" });
  const holder = await session(node.database);
  await holder.query("begin");
  await holder.query("update tombolo.full_sync_run set heartbeat_at = now() where id = $1", [target.id.toString()]);
  // whoever waited would be told after half a minute that the lock is not to be had
  await runs.beat(target.id, { ...progress, phase: "hand_over" });
  await holder.query("commit");
  expect(await runs.find(target.id)).toMatchObject({ rows: 0, state: "running" });
  await runs.beat(target.id, { ...progress, phase: "verify" });
  expect(await runs.find(target.id)).toMatchObject({ rows: 5, phase: "verify" });
  await runs.cancel(target.id);
  await expect(runs.beat(target.id, { ...progress, phase: "verify" })).rejects.toMatchObject({ code: "FULL_SYNC_LOST" });
});

test("a run goes on although an application holds its SQLite target for long, and its source hears that it lives", async () => {
  const [parent, child] = [await postgres("hub"), await sqliteNode("store", SCHEMA.replace("bigint", "integer"), TABLES)];
  close.push(() => child.close());
  const topology = testTopology(parent.node, child.node, TABLES);
  const plan = await planSync({ parent: parent.node, child: child.node, ...topology, direction: "pull", tables: null });
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  const life = await Lifeline.begin({ plan, resume: false, verify: false, watcher: { progress() {} } });
  const application = new Database(child.path);
  close.push(async () => application.close());
  application.exec("begin immediate");
  const beat = vi.spyOn(child.node.copies.runs, "beat");
  for (let beats = 0; beats < 2; beats++) {
    await parent.write("update tombolo.full_sync_run set heartbeat_at = now() - interval '1 hour'");
    vi.advanceTimersByTime(3_000);
    await until("the source hears", async () => {
      const [[lives] = []] = await parent.rows("select heartbeat_at > now() - interval '1 minute' from tombolo.full_sync_run");
      return lives === "t";
    });
  }
  // longer than anyone waits for a lock
  vi.advanceTimersByTime(60_000);
  await expect(beat.mock.results[0]?.value).rejects.toMatchObject({ code: "DATABASE_BUSY" });
  life.note({ rows: 5 });
  application.exec("rollback");
  await life.at({ phase: "copy" });
  expect(await child.rows("select rows, phase, state from tombolo_full_sync_run")).toEqual([["5", "copy", "running"]]);
  await life.end("cancelled");
});

test.each(["pull", "push"] as const)("two nodes begin anew beside the process that reads the slots of both, by a %s", async (direction) => {
  const [parent, child] = [await postgres("hub", "slot"), await postgres("store", "slot")];
  await parent.write("insert into product values (1, 'thing')");
  await testLink(parent.node, child.node, TABLES).settle();
  await child.write("insert into product values (2, 'unsent')");
  // as a command opens them
  const beside = async ({ node, database }: Awaited<ReturnType<typeof postgres>>) => {
    const opened = await openPostgresNode({ name: node.name, url: database.url, capture: "slot" });
    close.push(() => opened.close());
    return opened;
  };
  const [above, below] = [await beside(parent), await beside(child)];
  await beginAnew({ parent: above, child: below, ...testTopology(above, below, TABLES) });
  expect(await syncFully(above, below, TABLES, { direction })).toMatchObject({ state: "done" });
  await testLink(parent.node, child.node, TABLES).settle();
  for (const { rows } of [parent, child]) {
    expect(await rows("select id, name from product order by id")).toEqual([
      ["1", "thing"],
      ["2", "unsent"],
    ]);
  }
});

test("two nodes begin anew although a lock is in the way of the first attempt", async () => {
  const [parent, child] = [await postgres("hub"), await postgres("store")];
  await parent.write("insert into product values (1, 'thing')");
  await testLink(parent.node, child.node, TABLES).settle();
  const [holder, looker] = [await session(parent.database), await session(parent.database)];
  await holder.query("begin; update tombolo.peer set reason = reason");
  const beginning = beginAnew({ parent: parent.node, child: child.node, ...testTopology(parent.node, child.node, TABLES) });
  let first: string | null = null;
  await until("it waits for the link's packet", async () => {
    first = await waiting(looker, "tombolo.peer");
    return first !== null;
  });
  // as the server does it after half a minute
  await looker.query("select pg_cancel_backend($1)", [first]);
  await holder.query("commit");
  await beginning;
  expect(await parent.rows("select state from tombolo.peer")).toEqual([["snapshot"]]);
  await syncFully(parent.node, child.node, TABLES);
  expect(await child.rows("select id, name from product")).toEqual([["1", "thing"]]);
});
