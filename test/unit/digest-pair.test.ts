import { describe, expect, test } from "vitest";
import { channelName, tableName } from "../../replicator/change/names.ts";
import type { Column, Engine, TableShape } from "../../replicator/change/shape.ts";
import { digestPair } from "../../replicator/node/digest-pair.ts";

const shape = (engine: Engine, value: Omit<Column, "name" | "notNull">): TableShape => ({
  ...{ table: tableName("item"), channel: channelName("main"), engine, key: ["id"], hash: "" },
  columns: [
    { name: "id", notNull: true, ...(engine === "postgres" ? { type: "bigint", base: "int8" } : { type: "integer" }) },
    { name: "value", notNull: false, ...value },
  ],
});
const asSent = (above: TableShape, below: TableShape, near = true): boolean => {
  const { parent, child } = digestPair(above, below, { filter: null, near });
  expect(child.asSent).toBe(parent.asSent);
  return parent.asSent;
};

describe("ranges of two Postgres are digested as they are sent", () => {
  const money = { type: "numeric(12,2)", base: "numeric" };

  test.each([
    money,
    { type: "timestamp with time zone", base: "timestamptz" },
    { type: "character varying(20)", base: "varchar" },
    { type: "text", base: "text" },
  ])("of $type", (value) => {
    expect(asSent(shape("postgres", value), shape("postgres", value))).toBe(true);
  });

  test.each([
    ["another type on the other side", { type: "numeric(12,3)", base: "numeric" }],
    ["a domain, whose number is another in each database", { type: "price", base: "numeric" }],
    ["a type of the application's", { type: "mood", base: "mood" }],
    ["a type whose bytes are not known", { type: "jsonb", base: "jsonb" }],
  ])("not with %s", (_, value) => {
    expect(asSent(shape("postgres", value), shape("postgres", value.base === "numeric" && value.type !== "price" ? money : value))).toBe(
      false,
    );
  });

  test("not with a SQLite, and not where one of the two is asked over HTTP and may be older", () => {
    expect(asSent(shape("postgres", money), shape("sqlite", { type: "text" }))).toBe(false);
    expect(asSent(shape("postgres", money), shape("postgres", money), false)).toBe(false);
  });
});
