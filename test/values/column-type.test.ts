import { expect, test } from "vitest";
import { columnKind } from "../../replicator/change/values/affinity.ts";
import { columnTypeFor } from "../../replicator/change/values/column-type.ts";
import { MAPPING } from "../../replicator/change/values/mapping.ts";
import { postgresType } from "../../replicator/change/values/postgres-type.ts";

const column = (type: string, base?: string) => ({ name: "c", type, notNull: false, ...(base !== undefined && { base }) });

test("the SQLite column that is made for a Postgres type refuses none of its values, but what SQLite has no form for at all", () => {
  for (const { types, cells, title } of Object.values(MAPPING)) {
    for (const base of [...types, "_int4", "some_enum"]) {
      const made = columnTypeFor(column(base, base), "postgres", "sqlite");
      const { as, except } = types.includes(base) ? cells[columnKind(made, false)] : MAPPING.printed.cells[columnKind(made, false)];
      expect(as, `${title}: ${base} as ${made}`).not.toBeNull();
      expect(except?.replace(/-0 \(SQLite drops the sign\)|NaN \(SQLite has none\),? ?/g, "") ?? "", `${title}: ${base} as ${made}`).toBe(
        "",
      );
    }
  }
});

test("a numeric that a REAL holds exactly is a number in SQLite; a wider one is text", () => {
  expect([
    columnTypeFor(column("numeric(10,2)", "numeric"), "postgres", "sqlite"),
    columnTypeFor(column("numeric", "numeric"), "postgres", "sqlite"),
  ]).toEqual(["NUMERIC", "TEXT"]);
});

test("for what SQLite declares Postgres gets the widest type of that kind", () => {
  const made = ["INTEGER", "tinyint", "BOOLEAN", "REAL", "double", "VARCHAR(20)", "TEXT", "BLOB", "DECIMAL(10,2)", "DATETIME", ""].map(
    (declared) => columnTypeFor(column(declared), "sqlite", "postgres"),
  );
  expect(made).toEqual([
    ...["bigint", "bigint", "boolean", "double precision", "double precision", "text", "text", "bytea", "numeric", "text", "text"],
  ]);
  for (const type of made) expect(postgresType(column(type)).family).not.toBe("other");
});
