import pg from "pg";
import { afterEach, expect, test, vi } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { SlotConsumer, type SlotConsumerOptions } from "../../replicator/node/postgres/slot/consumer.ts";
import { type Lsn, parseLsn } from "../../replicator/node/postgres/slot/lsn.ts";
import { streamName } from "../../replicator/node/postgres/slot/names.ts";
import { ReplicationConnection } from "../../replicator/node/postgres/slot/replication-connection.ts";
import { slotState } from "../../replicator/node/postgres/slot/slot-state.ts";
import { postgresNode, type TestNode, type TestTable, wanted } from "../helpers/nodes.ts";
import type { FreshDatabase } from "../helpers/postgres.ts";
import { random } from "../helpers/random.ts";

/** The machine may be busy with other things. */
vi.setConfig({ testTimeout: 90_000 });

const PG = "create schema shop; create table shop.item (id integer primary key, v integer, body text)";
const TABLES: readonly TestTable[] = [{ name: "shop.item" }];

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A node whose own consumer does not run: tests bring theirs. */
async function captured(): Promise<TestNode & { readonly database: FreshDatabase }> {
  const node = await postgresNode("hub", PG, TABLES, { capture: "slot" });
  closing.push(() => node.close());
  return node;
}

function consume(url: string, options: Pick<SlotConsumerOptions, "busyForMs" | "deadAfterMs" | "idleAdvanceMs"> = {}): SlotConsumer {
  const consumer = new SlotConsumer({ url, name: "hub", hstore: "tombolo", ...options });
  closing.push(() => consumer.close().catch(() => undefined));
  return consumer;
}

/** Waits until `sql` answers true. */
async function until(node: TestNode, sql: string): Promise<void> {
  for (const end = Date.now() + 20_000; (await node.rows(`select (${sql})::text`))[0]?.[0] !== "true"; ) {
    if (Date.now() > end) throw new Error(`never: ${sql}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const VALUES = "select tombolo.hstore_to_json(new) ->> 'v' from tombolo.change where op in ('I', 'U') order by seq";
const WALSENDER =
  "select pid from pg_stat_replication where application_name = 'tombolo hub slot' and pid in (select active_pid from pg_replication_slots where database = current_database())";

test("what is acknowledged is the exact end of what is durable in the log: of two commits that touch, the second comes after a crash between them", async () => {
  const hub = await captured();
  const first = consume(hub.database.url);
  await hub.write("insert into shop.item values (1, 0)");
  await first.complete();
  await until(hub, "select r.confirmed_flush_lsn = s.end_lsn from tombolo.slot s join pg_replication_slots r using (slot_name)");
  await first.close();
  // one after the other, with nothing between their records
  for (let v = 1; v <= 20; v++) {
    await hub.write(`update shop.item set v = ${v}`);
    const consumer = consume(hub.database.url);
    if (v % 2 === 0) await consumer.complete();
    await consumer.close();
  }
  expect((await hub.rows(VALUES)).flat()).toEqual(Array.from({ length: 21 }, (_, v) => String(v)));
});

test("a connection that is cut again and again, under writes, loses nothing and repeats nothing", async () => {
  const hub = await captured();
  const consumer = consume(hub.database.url);
  const { int, chance } = random(7);
  let v = 0;
  await hub.write("insert into shop.item values (1, 0)");
  for (let cut = 0; cut < 60; cut++) {
    for (let writes = int(8); writes > 0; writes--) {
      v += 1;
      await hub.write(`update shop.item set v = ${v}, body = repeat('x', ${int(3) * 20_000})`);
    }
    if (chance(0.7)) {
      await consumer.complete().catch((error: { kind: string }) => expect(["connect", "retry"]).toContain(error.kind));
    }
    await hub.rows(`select pg_terminate_backend(pid) from (${WALSENDER}) as sender`);
  }
  for (let attempt = 0; ; attempt++) {
    try {
      await consumer.complete();
      break;
    } catch (error) {
      if (attempt === 20) throw error;
    }
  }
  expect((await hub.rows(VALUES)).flat()).toEqual(Array.from({ length: v + 1 }, (_, n) => String(n)));
});

test("while the log cannot be written the server is told that we live, and no more is read than fits", async () => {
  const hub = await captured();
  const url = new URL(hub.database.url);
  url.searchParams.set("options", "-c wal_sender_timeout=2s");
  const consumer = consume(url.href);
  await consumer.complete();
  const [[sender]] = (await hub.rows(WALSENDER)) as [[string]];
  const blocker = new pg.Client({ connectionString: hub.database.url });
  await blocker.connect();
  await blocker.query("begin; select from tombolo.slot for update");
  const before = process.memoryUsage().rss;
  for (let id = 0; id < 50; id++) {
    await hub.write(`insert into shop.item select ${id} * 100 + n, n, repeat(md5(n::text), 500) from generate_series(0, 99) n`);
  }
  const waiting = consumer.complete();
  const began = Date.now();
  // three times what the server bears
  await until(hub, `select clock_timestamp() > timestamptz 'epoch' + interval '1 millisecond' * ${began + 6_500}`);
  expect(await hub.rows(WALSENDER)).toEqual([[sender]]);
  // 80 MB wait at the server; 16 MB wait here, in strings and in what has yet to be collected
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 2 ** 20);
  await blocker.query("commit");
  await blocker.end();
  await waiting;
  expect(await hub.rows(WALSENDER)).toEqual([[sender]]);
  expect(await hub.rows("select count(*), count(distinct xid) from tombolo.change")).toEqual([["5000", "50"]]);
});

test("a transaction that is larger than memory is logged in pieces and as one", async () => {
  const hub = await captured();
  const consumer = consume(hub.database.url);
  await hub.write(
    "insert into shop.item select n, n, 'a' from generate_series(1, 30000) n; update shop.item set body = 'b'; delete from shop.item where id > 29000",
  );
  await hub.write("insert into shop.item values (99999, 1)");
  await consumer.complete();
  expect(
    await hub.rows(
      "select op, count(*), count(distinct xid), count(distinct changed_at) from tombolo.change where tombolo.hstore_to_json(key) ->> 'id' <> '99999' group by op order by op",
    ),
  ).toEqual([
    ["D", "1000", "1", "1"],
    ["I", "30000", "1", "1"],
    ["U", "30000", "1", "1"],
  ]);
  expect(
    await hub.rows(
      "select bool_and(seq > before) from (select seq, lag(seq, 1, 0::bigint) over (partition by key order by array_position('{I,U,D}', op::text)) as before from tombolo.change) as ordered",
    ),
  ).toEqual([["t"]]);
});

test("a change whose old row is not streamed is a hole that is marked, and the others go on", async () => {
  const hub = await captured();
  const consumer = consume(hub.database.url);
  await hub.write("insert into shop.item values (1, 0)");
  await hub.write("alter table shop.item replica identity default");
  await hub.write("update shop.item set v = 1");
  await hub.write("insert into shop.item values (2, 0)");
  await consumer.complete();
  expect(await hub.rows("select op, tombolo.hstore_to_json(key) ->> 'id' from tombolo.change order by seq")).toEqual([
    ["I", "1"],
    ["I", "2"],
  ]);
  expect(await hub.rows("select state, reason from tombolo.captured_table")).toEqual([["must_compare", "REPLICA_IDENTITY"]]);
});

test("an idle node lets the server forget its log, although others fill it", async () => {
  const hub = await captured();
  await consume(hub.database.url, { idleAdvanceMs: 500 }).complete();
  await hub.write("create table shop.unrelated as select repeat('x', 1000) as filler from generate_series(1, 5000)");
  await until(
    hub,
    "select s.end_lsn > (select pg_current_wal_lsn() - 1000000) and r.confirmed_flush_lsn >= s.end_lsn from tombolo.slot s join pg_replication_slots r using (slot_name)",
  );
});

test("a slot that another process reads is asked for and told of; a walsender whose client is gone without a word is ended", async () => {
  const hub = await captured();
  const pool = createPool({ url: hub.database.url });
  closing.push(() => pool.end());
  const slot = await slotState(pool);
  if (slot === null) throw new Error("no slot");
  const reading = consume(hub.database.url);
  await reading.complete();
  await expect(consume(hub.database.url, { busyForMs: 300 }).complete()).rejects.toMatchObject({ code: "SLOT_BUSY", kind: "retry" });
  // the one that reads goes on
  await reading.complete();
  await reading.close();
  const dead = await ReplicationConnection.open({ url: hub.database.url, name: streamName("hub") });
  closing.push(() => dead.close());
  await dead.start({
    slot: slot.slot,
    publication: slot.publication,
    from: slot.cursor,
    onMessage: () => undefined,
    onEnd: () => undefined,
  });
  dead.status({ received: slot.cursor, flushed: slot.cursor });
  await hub.write("insert into shop.item values (1, 0)");
  const next = consume(hub.database.url, { deadAfterMs: 500, busyForMs: 10_000 });
  await next.complete();
  expect((await hub.rows(VALUES)).flat()).toEqual(["0"]);
});

test("two that read one slot after the other never write the same twice: the one that lost the slot is told", async () => {
  const hub = await captured();
  const first = consume(hub.database.url);
  await first.complete();
  await hub.write("update tombolo.slot set end_lsn = end_lsn + 1");
  await hub.write("insert into shop.item values (1, 0)");
  await expect(first.complete()).rejects.toMatchObject({ code: "SLOT_TAKEN", kind: "retry" });
  expect(await hub.rows("select count(*) from tombolo.change")).toEqual([["0"]]);
});

test("a command beside the process that reads the slot waits for that one", async () => {
  const hub = await captured();
  await hub.node.log.tick();
  const beside = await openPostgresNode({ name: nodeName("hub"), url: hub.database.url, capture: "slot" });
  closing.push(() => beside.close());
  const { GateElsewhere } = await import("../../replicator/node/postgres/slot/elsewhere.ts");
  const pool = createPool({ url: hub.database.url });
  closing.push(() => pool.end());
  const idle = consume(hub.database.url);
  const gate = new GateElsewhere({ pool, consumer: idle });
  for (let v = 0; v < 5; v++) {
    await hub.write(`insert into shop.item values (${v}, ${v})`);
    await gate.complete();
    expect(await hub.rows("select count(*) from tombolo.change")).toEqual([[String(v + 1)]]);
  }
  expect(idle.running).toBe(false);
  await hub.node.close();
  await hub.write("insert into shop.item values (9, 9)");
  await gate.complete();
  expect(idle.running).toBe(true);
  expect(await hub.rows("select count(*) from tombolo.change")).toEqual([["6"]]);
});

for (const [what, sql] of [
  ["dropped", "select pg_drop_replication_slot(slot_name) from tombolo.slot"],
  [
    "dropped and made anew",
    "select pg_drop_replication_slot(slot_name) from tombolo.slot; commit; begin; insert into shop.item values (5, 5); commit; select pg_create_logical_replication_slot(slot_name, 'pgoutput') from tombolo.slot; begin",
  ],
  ["moved on", "select pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) from tombolo.slot"],
  ["left behind in another life of the server", "update tombolo.slot set timeline = timeline + 1"],
  ["left behind in another cluster", "update tombolo.slot set system_identifier = '1'"],
] as const) {
  test(`a slot that was ${what} is never gone on from: state and errors say so, and apply makes a new one`, async () => {
    const hub = await captured();
    await hub.node.target.meet([{ name: nodeName("store"), role: "child" }]);
    await hub.write("insert into shop.item values (1, 1)");
    await hub.node.log.tick();
    await hub.node.close();
    await until(hub, "select active_pid is null from pg_replication_slots where database = current_database()");
    await hub.write("insert into shop.item values (2, 2)");
    await hub.write(sql);
    const node = await openPostgresNode({ name: nodeName("hub"), url: hub.database.url, capture: "slot" });
    closing.push(() => node.close());
    for (let again = 0; again < 2; again++) await expect(node.log.tick()).rejects.toMatchObject({ code: "SLOT_LOST", kind: "operator" });
    const status = await node.installation.status();
    expect(status.tables).toEqual([expect.objectContaining({ state: "must_compare", reason: "SLOT_LOST" })]);
    expect(status.peers).toEqual([expect.objectContaining({ name: "store", state: "must_resync" })]);
    expect((await node.installation.examine()).filter(({ severity }) => severity === "error").map(({ code }) => code)).toEqual([
      "SLOT_LOST",
    ]);
    await node.installation.apply(wanted(TABLES, "postgres"));
    await hub.write("insert into shop.item values (3, 3)");
    await node.log.tick();
    expect((await hub.rows(VALUES)).at(-1)).toEqual(["3"]);
    expect((await node.installation.status()).peers).toEqual([expect.objectContaining({ name: "store", state: "must_resync" })]);
    expect(parseLsn((await hub.rows("select end_lsn from tombolo.slot"))[0]?.[0] ?? "")).toBeGreaterThan(0n);
  });
}

test("a server that invalidates the slot is believed", async () => {
  const { lossOf } = await import("../../replicator/node/postgres/slot/slot-state.ts");
  const server = {
    plugin: "pgoutput",
    database: "d",
    here: true,
    confirmed: "0/10",
    restart: "0/1",
    walStatus: "reserved",
    invalidation: null,
    activePid: null,
    retainedBytes: 1,
    safeBytes: null,
    catalogueAge: 1,
    freezeAge: 200_000_000,
  };
  const state = {
    slot: "s",
    publication: "tombolo",
    system: "1",
    timeline: 1,
    cursor: parseLsn("0/10"),
    state: "live" as const,
    reason: null,
    server,
  };
  expect(lossOf(state, { system: "1", timeline: 1 })).toBeNull();
  expect(lossOf({ ...state, server: { ...server, walStatus: "lost" } }, null)).toContain("invalidated");
  expect(lossOf({ ...state, server: { ...server, invalidation: "idle_timeout" } }, null)).toContain("idle_timeout");
  expect(lossOf({ ...state, server: { ...server, restart: null } }, null)).toContain("invalidated");
  expect(lossOf({ ...state, server: { ...server, here: false } }, null)).toContain("someone else");
});

/** A place behind the records of all commits until now. */
const placeNow = async (node: TestNode): Promise<Lsn> => parseLsn((await node.rows("select pg_current_wal_insert_lsn()"))[0]?.[0] ?? "");
const logged = "select count(*) from tombolo.change";

test("a place in the write-ahead log is passed when every commit before it is in the log, with or without writers after it", async () => {
  const hub = await captured();
  const consumer = consume(hub.database.url);
  for (let id = 1; id <= 50; id++) {
    await hub.write(`insert into shop.item values (${id}, 0)`);
    // a commit that is seen before it is on the disk
    if (id % 3 === 0) await hub.write(`set local synchronous_commit = off; update shop.item set v = 1 where id = ${id}`);
    const expected = id + Math.floor(id / 3);
    const at = await placeNow(hub);
    if (id % 2 === 0) await hub.write("create table if not exists public.other (); drop table public.other");
    await consumer.passed(at);
    expect(Number((await hub.rows(logged))[0]?.[0])).toBeGreaterThanOrEqual(expected);
  }
});

test("a place behind a transaction that is too large to be held is not passed before the log has committed it", async () => {
  const hub = await captured();
  const consumer = consume(hub.database.url);
  await consumer.complete();
  await hub.write(`create function public.wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(42); return null; end $$;
    create constraint trigger wait after update on tombolo.slot deferrable initially deferred for each row execute function public.wait()`);
  const blocker = new pg.Client({ connectionString: hub.database.url });
  await blocker.connect();
  closing.push(() => blocker.end());
  await blocker.query("select pg_advisory_lock(42)");
  await hub.write("insert into shop.item select n, n from generate_series(1, 12000) n");
  await until(hub, "exists (select from pg_locks where locktype = 'advisory' and objid = 42 and not granted)");
  const at = await placeNow(hub);
  // the server says how far it has come, with nothing for us in it
  await hub.write("create table public.other (); drop table public.other");
  await until(hub, `(select sent_lsn >= pg_current_wal_flush_lsn() from pg_stat_replication where pid in (${WALSENDER}))`);
  const passed = consumer.passed(at).then(() => hub.rows(logged));
  // whoever was let through has had its answer by then
  for (let time = 0; time < 3; time++) await hub.rows("select");
  await blocker.query("select pg_advisory_unlock(42)");
  expect(await passed).toEqual([["12000"]]);
});
