import { randomUUID } from "node:crypto";
import type { ShopDatabase } from "./shop-database.ts";

/** The customer on whom the conflict is made. */
export const ADA = "00000000-0000-4000-8000-000000000001";

export const STORES = ["store-1", "store-2"] as const;
export const CITIES = ["Amsterdam", "Brighton", "Cádiz", "Dubrovnik", "Évora", "Faro", "Gdańsk", "Helsinki"] as const;
export const STATUSES = ["placed", "paid", "packed", "shipped", "delivered"] as const;
const FIRST = ["Alba", "Bram", "Chiara", "Dana", "Emil", "Fatou", "Goran", "Hana", "Ivo", "Júlia", "Kenji", "Lena"];
const LAST = ["Ahmed", "Bauer", "Costa", "Dvořák", "Eriksen", "Ferri", "García", "Horvat", "Ivanova", "Jansen"];
const THINGS = ["Lamp", "Chair", "Kettle", "Rug", "Clock", "Mirror", "Basket", "Blanket", "Vase", "Shelf"];
const KINDS = ["oak", "steel", "linen", "glass", "cork", "clay"];

export const CUSTOMERS = 400;
export const ORDERS = 4000;

export const pick = <T>(choices: readonly T[]): T => choices[Math.floor(Math.random() * choices.length)]!;
export const upTo = (most: number): number => 1 + Math.floor(Math.random() * most);

/** As Postgres prints a timestamptz in UTC, so that the text is the same on every node. */
export const timestamp = (at: Date): string => `${at.toISOString().slice(0, 19).replace("T", " ")}+00`;

export const toCents = (money: string): number => Math.round(Number(money) * 100);
export const money = (cents: number): string => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;

export function newCustomer(): (string | number)[] {
  const [first, last] = [pick(FIRST), pick(LAST)];
  return [randomUUID(), `${first} ${last}`, `${first}.${last}@example.com`.toLowerCase(), pick(CITIES), 0];
}

/** Fills the hub as a shop that has been in business for a while. Everything else gets it by replication. */
export async function fillShop(hub: ShopDatabase): Promise<void> {
  const customers = [[ADA, "Ada Lovelace", "ada@example.com", "London", 1815], ...Array.from({ length: CUSTOMERS - 1 }, newCustomer)];
  const products = KINDS.flatMap((kind) =>
    THINGS.map((thing, index) => {
      const sku = `${kind.slice(0, 2)}-${thing.slice(0, 3)}-${100 + index}`.toUpperCase();
      return [
        sku,
        `${thing}, ${kind}`,
        money(499 + upTo(15_000)),
        JSON.stringify({ kind, tags: [thing.toLowerCase()], kg: upTo(80) / 10 }),
      ];
    }),
  );
  const orders: (string | number)[][] = [];
  const items: (string | number)[][] = [];
  for (let n = 0; n < ORDERS; n++) {
    const id = randomUUID();
    let total = 0;
    const lines = upTo(4);
    for (let line = 1; line <= lines; line++) {
      const product = pick(products);
      const quantity = upTo(3);
      total += quantity * toCents(String(product[2]));
      items.push([id, line, product[0]!, quantity, product[2]!]);
    }
    const placedAt = timestamp(new Date(Date.now() - upTo(90 * 86_400) * 1000));
    orders.push([id, pick(customers)[0]!, pick(["hub", ...STORES]), pick(STATUSES), money(total), placedAt]);
  }
  const stock = STORES.flatMap((store) => products.map((product) => [store, product[0]!, 200 + upTo(300)]));

  await hub.transaction(async () => {
    await insert(hub, "customers", ["uuid", "text", "text", "text", "bigint"], customers);
    await insert(hub, "products", ["text", "text", "numeric", "jsonb"], products);
    await insert(hub, "orders", ["uuid", "uuid", "text", "text", "numeric", "timestamptz"], orders);
    await insert(hub, "order_items", ["uuid", "integer", "text", "integer", "numeric"], items);
    await insert(hub, "stock", ["text", "text", "integer"], stock);
  });
}

/** One statement per table, whatever the number of rows. Postgres only. */
async function insert(hub: ShopDatabase, table: string, types: readonly string[], rows: readonly (readonly (string | number)[])[]) {
  const columns = types.map((type, index) => `(r ->> ${index})::${type}`).join(", ");
  await hub.query(`insert into ${table} select ${columns} from json_array_elements($1::json) r`, [JSON.stringify(rows)]);
}
