import { expect, test } from "vitest";
import { channelName, tableName } from "../../replicator/change/names.ts";
import type { TableShape } from "../../replicator/change/shape.ts";
import { asOfToday } from "../../replicator/change/shape-today.ts";

const shape = (...names: string[]): TableShape => ({
  table: tableName("shop.orders"),
  channel: channelName("sales"),
  engine: "postgres",
  columns: names.map((name) => ({ name, type: "text", base: "text", notNull: false })),
  key: ["id"],
  hash: names.join(),
});
const change = { table: 0, op: "I", key: '{"id":"1"}', old: null, new: '{"id":"1","a":"x","n":"5"}', changedAt: 0 } as const;

test("a column that the sender's shape learned of later has its type", () => {
  const parked = { change, shape: shape("id", "a") };
  expect(asOfToday(parked, [shape("id", "a", "n")], ["id", "a", "n"])).toEqual({
    change,
    shape: { ...shape("id", "a", "n"), hash: "id,a" },
  });
});

test("a column dropped at the sender and here is left out; one that is still here is not", () => {
  const parked = { change, shape: shape("id", "a", "n") };
  expect(asOfToday(parked, [shape("id", "a")], ["id", "a"]).change.new).toBe('{"id":"1","a":"x"}');
  expect(asOfToday(parked, [shape("id", "a")], ["id", "a", "n"])).toEqual(parked);
});

test("a column that went while another came may have been renamed: its value stays", () => {
  const parked = { change, shape: shape("id", "a", "n") };
  expect(asOfToday(parked, [shape("id", "b", "n")], ["id", "b", "n"]).change).toEqual(change);
});

test("where the sender's table is not known today, the change is read by the shape that it came with", () => {
  const parked = { change, shape: shape("id", "a", "n") };
  expect(asOfToday(parked, [], ["id"])).toBe(parked);
});
