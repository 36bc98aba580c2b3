import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeName, type Position, tableName } from "../../replicator/change/names.ts";
import type { RowFilter } from "../../replicator/change/row-filter.ts";
import { postgresNode, type TestNode } from "../helpers/nodes.ts";

let hub: TestNode;
beforeAll(async () => {
  hub = await postgresNode(
    "hub",
    "create table a (id bigint primary key, note text); create table b (id bigint primary key, note text); create table other (id bigint); create table f (id bigint primary key, region int, qty int)",
    [{ name: "a" }, { name: "b" }, { name: "f", filter: "region = :region" }],
  );
  await hub.node.target.meet(["one", "two"].map((name) => ({ name: nodeName(name), role: "child" as const })));
});
afterAll(() => hub.close());

const LIMIT = AbortSignal.timeout(20_000);

/** Waits as a reader of these tables; `told` is where it may read on, once it was told. */
function waiting(after: Position, reader: string, tables: readonly string[], filter?: RowFilter) {
  const state: { told: Position | null; readonly ended: Promise<Position> } = {
    told: null,
    ended: hub.node.log
      .news(after, LIMIT, {
        reader: nodeName(reader),
        tables: new Set(tables.map(tableName)),
        ...(filter !== undefined && { filters: new Map(tables.map((table) => [tableName(table), filter])) }),
      })
      .then((position) => {
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

const region = (of: number, text = "region = :region"): RowFilter => ({ text, params: { region: String(of) } });

test.each([
  ["a row that is inserted wakes those whose row it is", "insert into f values (10, 1, 1)", [true, false]],
  ["one that moves wakes those whose row it was and those whose it is", "update f set region = 2 where id = 1", [true, true]],
  ["one that changes where it is wakes nobody else", "update f set qty = 7 where id = 2", [false, true]],
  ["one that is deleted wakes those whose row it was", "delete from f where id = 2", [false, true]],
  ["a table that is emptied wakes all", "truncate f", [true, true]],
])("of those who are given some rows, %s", async (_, change, expected) => {
  await hub.write("delete from f; insert into f values (1, 1, 1), (2, 2, 1), (3, 3, 1)");
  const { position } = await hub.node.log.tick();
  const [one, two] = [waiting(position, "one", ["f"], region(1)), waiting(position, "two", ["f"], region(2))];
  const all = waiting(position, "one", ["f"]);
  await hub.write(change);
  await Promise.all([all.ended, ...[one, two].filter((_, at) => expected[at]).map(({ ended }) => ended)]);
  await turn();
  expect([one, two].map(({ told }) => told !== null)).toEqual(expected);
  await hub.write("insert into f values (4, 1, 1), (5, 2, 1)");
  // what was not for it lies behind it then
  const places = await Promise.all([one.ended, two.ended]);
  expect(places.map((place) => place > position)).toEqual(expected.map((wasTold) => !wasTold));
});

test("a filter that fails on a row wakes its readers, who say so", async () => {
  const { position } = await hub.node.log.tick();
  const one = waiting(position, "one", ["f"], region(1, "region = :region and 10 / qty > 1"));
  await hub.write("insert into f values (20, 1, 0)");
  expect(await one.ended).toBe(position);
});

test("a filter without parameters, and one with a cast, choose as they do when it is read", async () => {
  const { position } = await hub.node.log.tick();
  const plain = waiting(position, "one", ["f"], { text: "qty > 5", params: {} });
  const cast = waiting(position, "two", ["f"], { text: "id = any (:ids::bigint[])", params: { ids: "{31,32}" } });
  await hub.write("insert into f values (30, 1, 9)");
  await plain.ended;
  await turn();
  expect(cast.told).toBeNull();
  await hub.write("insert into f values (31, 1, 1)");
  expect(await cast.ended).toBeGreaterThan(position);
});
