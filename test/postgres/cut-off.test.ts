import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeName, type Position, packetNumber, tableName } from "../../replicator/change/names.ts";
import { until } from "../helpers/command.ts";
import { postgresNode, type TestNode } from "../helpers/nodes.ts";

const EVENT = tableName("event");

let hub: TestNode;
beforeEach(async () => {
  hub = await postgresNode("hub", "create table public.event (id bigint primary key, note text)", [{ name: "event" }]);
  await hub.node.target.meet([{ name: nodeName("reader"), role: "child" }]);
});
afterEach(() => hub.close());

/** Ends every connection of the replicator, as a server that goes down would. */
const cutOff = () =>
  hub.rows(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'tombolo%'",
  );

test("reading a large window ends with an error when the server goes away in the middle, and can be begun again", async () => {
  const { position: after } = await hub.node.log.tick();
  await hub.write("insert into public.event select i, repeat('x', 200) from generate_series(1, 20000) i");
  const { position: upTo } = await hub.node.log.tick();
  const read = (from: Position) =>
    hub.node.log.read({ reader: nodeName("reader"), tables: [EVENT], after: from, upTo, maxRows: 500, maxBytes: 1 << 20 });
  const groups = read(after)[Symbol.asyncIterator]();
  await groups.next();
  await cutOff();
  await expect(
    (async () => {
      while ((await groups.next()).done !== true);
    })(),
  ).rejects.toMatchObject({ kind: "connect" });
  let rows = 0;
  for await (const group of read(after)) rows += group.length;
  expect(rows).toBe(20_000);
});

test("a reader that stops in the middle, of a window or of a table, leaves nothing hanging", async () => {
  const { position: after } = await hub.node.log.tick();
  await hub.write("insert into public.event select i, repeat('x', 200) from generate_series(1, 20000) i");
  const { position: upTo } = await hub.node.log.tick();
  for await (const group of hub.node.log.read({
    reader: nodeName("reader"),
    tables: [EVENT],
    after,
    upTo,
    maxRows: 500,
    maxBytes: 1 << 20,
  })) {
    expect(group.length).toBeGreaterThan(0);
    break;
  }
  const snapshot = await hub.node.tables.open([EVENT]);
  for await (const group of snapshot.rows(500, 1 << 20)) {
    expect(group.length).toBeGreaterThan(0);
    break;
  }
  await snapshot.close();
});

test("what is noted of packets fails as a server that is away does", async () => {
  const [reader, packet] = [nodeName("reader"), { number: packetNumber(1n), digest: "0".repeat(64) }];
  for (const work of [() => hub.node.sent.note(reader, packet), () => hub.node.sent.confirm(reader, packet)]) {
    await hub.rows("begin");
    await hub.rows("lock table tombolo.sent_packet in access exclusive mode");
    const failed = expect(work()).rejects.toMatchObject({ kind: "connect", code: expect.stringMatching(/^POSTGRES_/) });
    await until("it waits", async () => (await hub.rows("select 1 from pg_locks where not granted")).length > 0);
    await cutOff();
    await failed;
    await hub.rows("rollback");
  }
});
