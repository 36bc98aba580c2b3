import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compareShops } from "../../config/demo/compare.ts";
import { openShop, type ShopDatabase } from "../../config/demo/shop-database.ts";

let directory: string;
let shops: Map<string, ShopDatabase>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "tombolo-compare-"));
  shops = new Map();
  for (const name of ["one", "two"]) {
    const shop = await openShop(join(directory, `${name}.db`));
    await shop.script(readFileSync(new URL("../../config/demo/shop-sqlite.sql", import.meta.url), "utf8"));
    await shop.script(`insert into customers values ('a', 'Ada', 'a@x', 'London', 9007199254740993), ('b', 'Bob', 'b@x', 'Faro', 0);
      insert into products values ('P1', 'Lamp', '1.50', '{"kind":"oak","kg":1}')`);
    shops.set(name, shop);
  }
});

afterEach(async () => {
  for (const shop of shops.values()) await shop.close();
  rmSync(directory, { recursive: true, force: true });
});

const differences = async (statement: string) => {
  await shops.get("two")!.script(statement);
  const { differences: found } = await compareShops(shops);
  return found.map(({ node, table, rows }) => `${node} ${table} ${rows}`);
};

test("equal shops have no differences", async () => {
  expect(await differences("select 1")).toEqual([]);
});

test("a changed, a missing and an additional row are each a difference", async () => {
  expect(await differences("update customers set city = 'london' where id = 'a'")).toEqual(["two customers 1"]);
  expect(await differences("delete from customers where id = 'b'")).toEqual(["two customers 2"]);
  expect(await differences("insert into customers values ('c', 'Cy', 'c@x', 'Faro', 0)")).toEqual(["two customers 3"]);
});

test("integers are compared to their last digit, also beyond 2^53", async () => {
  expect(await differences("update customers set points = 9007199254740992 where id = 'a'")).toEqual(["two customers 1"]);
});

test("the same JSON in another order of its keys is equal, another value is not", async () => {
  expect(await differences(`update products set attrs = '{"kg": 1, "kind": "oak"}'`)).toEqual([]);
  expect(await differences(`update products set attrs = '{"kg": 2, "kind": "oak"}'`)).toEqual(["two products 1"]);
});
