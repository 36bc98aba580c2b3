import { createHash } from "node:crypto";
import type { Fields, ShopDatabase } from "./shop-database.ts";

/** Key columns first. JSON is compared as a value, everything else as text. */
const TABLES: { readonly [table: string]: { readonly key: readonly string[]; readonly rest: readonly string[] } } = {
  customers: { key: ["id"], rest: ["name", "email", "city", "points"] },
  products: { key: ["sku"], rest: ["name", "price", "attrs"] },
  orders: { key: ["id"], rest: ["customer_id", "placed_by", "status", "total", "placed_at"] },
  order_items: { key: ["order_id", "line"], rest: ["sku", "quantity", "unit_price"] },
  stock: { key: ["store", "sku"], rest: ["quantity"] },
};

export interface TableDifference {
  readonly table: string;
  readonly node: string;
  /** Rows that only one of the two has, or that both have differently. */
  readonly rows: number;
  /** The first few of them. */
  readonly keys: readonly string[];
}

export interface Comparison {
  readonly rows: { readonly [table: string]: number };
  /** Of the first node's tables, hexadecimal; the others have the same where there are no differences. */
  readonly digests: { readonly [table: string]: string };
  readonly differences: readonly TableDifference[];
}

/** Reads every row of every table from every node and compares each node with the first. Uses nothing of the product. */
export async function compareShops(shops: ReadonlyMap<string, ShopDatabase>): Promise<Comparison> {
  const rows: { [table: string]: number } = {};
  const digests: { [table: string]: string } = {};
  const differences: TableDifference[] = [];
  const [first, ...others] = [...shops];
  if (first === undefined) throw new Error("nothing to compare");
  for (const table of Object.keys(TABLES)) {
    const expected = await readTable(first[1], table);
    rows[table] = expected.size;
    digests[table] = digest(expected);
    for (const [node, shop] of others) {
      const keys = differingKeys(expected, await readTable(shop, table));
      if (keys.length > 0) differences.push({ table, node, rows: keys.length, keys: keys.slice(0, 3) });
    }
  }
  return { rows, digests, differences };
}

async function readTable(shop: ShopDatabase, table: string): Promise<Map<string, string>> {
  const { key, rest } = TABLES[table]!;
  const rows = await shop.query(`select ${[...key, ...rest].join(", ")} from ${table}`);
  return new Map(rows.map((row) => [fields(row, key), fields(row, rest)]));
}

const fields = (row: Fields, columns: readonly string[]): string =>
  JSON.stringify(columns.map((column) => canonical(column, row[column] ?? null)));

/** Postgres prints a jsonb with its keys in an order of its own. */
function canonical(column: string, value: string | null): string | null {
  if (column !== "attrs" || value === null) return value;
  const parsed = JSON.parse(value) as { [key: string]: unknown };
  return JSON.stringify(Object.entries(parsed).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function differingKeys(expected: ReadonlyMap<string, string>, actual: ReadonlyMap<string, string>): string[] {
  const changedOrMissing = [...expected].filter(([key, row]) => actual.get(key) !== row).map(([key]) => key);
  return [...changedOrMissing, ...[...actual.keys()].filter((key) => !expected.has(key))];
}

function digest(table: ReadonlyMap<string, string>): string {
  const hash = createHash("sha256");
  for (const key of [...table.keys()].sort()) hash.update(key).update(table.get(key) ?? "");
  return hash.digest("hex");
}
