import { afterAll, describe, expect, test } from "vitest";
import { channelName, nodeName, type Position, packetNumber } from "../../replicator/change/names.ts";
import { SELECT_STATUS } from "../../replicator/node/postgres/status.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, nodeOf, PAIRS } from "../helpers/pair.ts";
import { withClient } from "../helpers/postgres.ts";

const TABLES = [{ name: "item" }];
const SCHEMA = "create table item (id integer primary key, name text)";
const PEERS = Array.from({ length: 30 }, (_, index) => nodeName(`edge-${index + 1}`));
const nodes: TestNode[] = [];
closeAfterEach();
afterAll(async () => {
  for (const node of nodes) await node.close();
});

/** Half of the peers stand behind 500 rows, the others behind 200. */
async function standingApart(hub: TestNode): Promise<void> {
  nodes.push(hub);
  await hub.node.target.meet(PEERS.map((name) => ({ name, role: "child" })));
  const write = async (from: number, count: number): Promise<Position> => {
    const values = Array.from({ length: count }, (_, index) => `(${from + index}, 'x')`);
    await hub.write(`insert into item values ${values.join(", ")}`);
    return (await hub.node.log.tick()).position;
  };
  const [first, second] = [await write(1, 100), await write(101, 300)];
  for (const [index, name] of PEERS.entries())
    await hub.node.log.acknowledge(name, [channelName("all")], index % 2 === 0 ? first : second, packetNumber(1));
  await write(401, 200);
  const { peers } = await hub.node.installation.status();
  expect(peers).toHaveLength(PEERS.length);
  for (const [index, name] of PEERS.entries()) {
    expect(peers.find((peer) => peer.name === name)?.pendingChanges).toBe(index % 2 === 0 ? 500 : 200);
  }
}

interface Plan {
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly Plans?: readonly Plan[];
}

const rowsOfLog = (plan: Plan): number =>
  (plan["Relation Name"]?.startsWith("change_") ? plan["Actual Rows"] * plan["Actual Loops"] : 0) +
  (plan.Plans ?? []).reduce((sum, below) => sum + rowsOfLog(below), 0);

test("Postgres: what is pending for many peers is counted once per place at which they stand", async () => {
  const hub = await postgresNode("hub", SCHEMA, TABLES);
  await standingApart(hub);
  const plan = await withClient(hub.database.url, async (client) => {
    const { rows } = await client.query(`explain (analyze, format json) ${SELECT_STATUS}`);
    return rows[0]["QUERY PLAN"][0].Plan as Plan;
  });
  // each place once, and what the size of the log is estimated by
  expect(rowsOfLog(plan)).toBeLessThan(2 * (500 + 200));
});

test("Postgres: however many places there are, the log behind them is read once, and each is told what is behind it, open transactions included", async () => {
  const hub = await postgresNode("hub", SCHEMA, TABLES);
  nodes.push(hub);
  await hub.node.target.meet(PEERS.map((name) => ({ name, role: "child" })));
  await withClient(hub.database.url, async (late) => {
    for (const [index, name] of PEERS.entries()) {
      // every third tick is sealed while a transaction is open, which commits later; others have begun and ended meanwhile
      if (index % 3 === 0) await late.query("begin");
      if (index % 3 === 0) await late.query(`insert into item select ${index * 1000} + g, 'late' from generate_series(1, 7) as g`);
      await hub.write(`insert into item select ${index * 1000 + 100} + g, 'x' from generate_series(1, 20) as g`);
      const { position } = await hub.node.log.tick();
      await hub.node.log.acknowledge(name, [channelName("all")], position, packetNumber(1));
      if (index % 3 === 1) await late.query("commit");
    }
    await late.query("commit");
  });
  const [plan, expected] = await withClient(hub.database.url, async (client) => {
    const explained = await client.query(`explain (analyze, format json) ${SELECT_STATUS}`);
    const behind = await client.query(
      `select p.name, count(c.seq)::int as changes from tombolo.peer p join tombolo.tick t on t.position = (p.sent ->> 'all')::bigint
         left join tombolo.change c on not pg_visible_in_snapshot(c.xid, t.snapshot) group by p.name`,
    );
    return [explained.rows[0]["QUERY PLAN"][0].Plan as Plan, new Map(behind.rows.map(({ name, changes }) => [name, changes]))] as const;
  });
  const { peers, logRows } = await hub.node.installation.status();
  expect(new Map(peers.map(({ name, pendingChanges }) => [name, pendingChanges]))).toEqual(expected);
  expect(expected.get("edge-1")).toBe(PEERS.length * 20 - 20 + 10 * 7);
  // once for all places, and once more for the size of the log
  expect(rowsOfLog(plan)).toBeLessThanOrEqual(2 * logRows);
});

test("Postgres: the size of a large log is estimated from a small part of it", async () => {
  const hub = await postgresNode("hub", SCHEMA, TABLES);
  nodes.push(hub);
  expect((await hub.node.installation.status()).logRows).toBe(0);
  await hub.write("insert into item select g, 'x' from generate_series(1, 900) as g");
  expect((await hub.node.installation.status()).logRows).toBe(900);
  await hub.write("insert into item select g, 'x' from generate_series(1001, 20100) as g");
  const { logRows } = await hub.node.installation.status();
  expect(Math.abs(logRows - 20_000)).toBeLessThan(1000);
});

test("SQLite: the same answer", async () => {
  await standingApart(await sqliteNode("hub", SCHEMA, TABLES));
});

describe.each(PAIRS)("between %s and %s", (above, below) => {
  test.each(["both", "down", "up"] as const)(
    "what is pending is not known until a peer has acknowledged anything, and is known once the two have met, direction %s",
    async (direction) => {
      const parent = await nodeOf(above, "hub", both(SCHEMA), TABLES);
      const child = await nodeOf(below, "store", both(SCHEMA), TABLES);
      const link = testLink(parent.node, child.node, TABLES, { direction });
      const pending = async () =>
        Promise.all([parent, child].map(async ({ node }) => (await node.installation.status()).peers.map((peer) => peer.pendingChanges)));
      await parent.node.target.meet([{ name: child.node.name, role: "child" }]);
      await child.node.target.meet([{ name: parent.node.name, role: "parent" }]);
      await parent.write("insert into item values (1, 'x')");
      expect(await pending()).toEqual([[null], [null]]);
      await link.settle();
      // over a relay, an end hears of the other's first word in the next round
      await link.settle();
      expect(await pending()).toEqual([[0], [0]]);
      await parent.write("insert into item values (2, 'y')");
      expect(await pending()).toEqual([[direction === "up" ? 0 : 1], [0]]);
    },
  );
});
