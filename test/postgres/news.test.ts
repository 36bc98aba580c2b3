import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeName, type Position, tableName } from "../../replicator/change/names.ts";
import { postgresNode, type TestNode } from "../helpers/nodes.ts";

let hub: TestNode;
beforeAll(async () => {
  hub = await postgresNode(
    "hub",
    "create table a (id bigint primary key, note text); create table b (id bigint primary key, note text); create table other (id bigint)",
    [{ name: "a" }, { name: "b" }],
  );
  await hub.node.target.meet(["one", "two"].map((name) => ({ name: nodeName(name), role: "child" as const })));
});
afterAll(() => hub.close());

const LIMIT = AbortSignal.timeout(20_000);

/** Waits as a reader of these tables; `told` is where it may read on, once it was told. */
function waiting(after: Position, reader: string, tables: readonly string[]) {
  const state: { told: Position | null; readonly ended: Promise<Position> } = {
    told: null,
    ended: hub.node.log.news(after, LIMIT, { reader: nodeName(reader), tables: new Set(tables.map(tableName)) }).then((position) => {
      state.told = position;
      return position;
    }),
  };
  return state;
}

test("a reader is not woken by changes of tables that are not its, and may read on behind them", async () => {
  const { position } = await hub.node.log.tick();
  const [of, not] = [waiting(position, "one", ["b"]), waiting(position, "two", ["a"])];
  await hub.write("insert into b values (1, 'x')");
  await of.ended;
  await turn();
  expect([of.told, not.told]).toEqual([position, null]);
  const behind = (await hub.node.log.tick()).position;
  await hub.write("insert into a values (1, 'x')");
  expect(await not.ended).toBeGreaterThanOrEqual(behind);
  const upTo = (await hub.node.log.tick()).position;
  const request = { reader: nodeName("two"), tables: [tableName("a")], after: not.told as Position, upTo, maxRows: 100, maxBytes: 1e6 };
  const read = [];
  for await (const group of hub.node.log.read(request)) read.push(...group);
  expect(read.map(({ op }) => op)).toEqual(["I"]);
});

test("what is meant for one reader wakes that one, whichever table it is of", async () => {
  await hub.write("insert into b values (2, 'x')");
  const { position } = await hub.node.log.tick();
  const [one, two] = [waiting(position, "one", []), waiting(position, "two", ["a", "b"])];
  await hub.node.log.refresh(nodeName("one"), [{ table: tableName("b"), key: '{"id":"2"}' }]);
  await one.ended;
  await turn();
  expect(two.told).toBeNull();
  await hub.write("delete from b where id = 2");
  await two.ended;
});

test("many changes at once, and a place that is not known any more, wake everybody", async () => {
  const { position } = await hub.node.log.tick();
  const one = waiting(position, "one", ["a"]);
  await hub.write("insert into b select i, 'many' from generate_series(100, 2200) i");
  await one.ended;
  const old = waiting(1n as Position, "two", ["a"]);
  await old.ended;
});
