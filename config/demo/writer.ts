/**
 * One of the demo's writers, a process of its own: works in one shop database at random, as its customers and clerks would, until it
 * is told to stop. Tells its parent over IPC what it did so far.
 *
 * Arguments: LOCATION NAME TRANSACTIONS_PER_SECOND
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CITIES, money, newCustomer, pick, STATUSES, STORES, timestamp, toCents, upTo } from "./shop-data.ts";
import { type Fields, openShop, type ShopDatabase } from "./shop-database.ts";

export interface Tally {
  readonly transactions: number;
  readonly customers: number;
  readonly orders: number;
}

const [location = "", name = "", rate = "10"] = process.argv.slice(2);
const tally = { transactions: 0, customers: 0, orders: 0 };
const own: string[] = [];
let stopping = false;
const stop = () => {
  stopping = true;
};
process.on("SIGTERM", stop);
process.on("message", stop);
// whoever started us is gone
process.on("disconnect", stop);

const shop = await openShop(location);
const isHub = name === "hub";

/** Some row near a random place of the key: cheap on any size of table. */
async function someRow(table: string, columns: string): Promise<Fields> {
  const at = randomUUID();
  const [row] = await shop.query(`select ${columns} from ${table} where id >= $1 order by id limit 1`, [at]);
  const [other] = row === undefined ? await shop.query(`select ${columns} from ${table} order by id desc limit 1`) : [row];
  if (other === undefined) throw new Error(`${table} is empty in ${name}`);
  return other;
}

async function welcomeCustomer(): Promise<void> {
  await shop.query("insert into customers (id, name, email, city, points) values ($1, $2, $3, $4, $5)", newCustomer());
  tally.customers++;
}

async function placeOrder(): Promise<void> {
  const id = randomUUID();
  const customer = await someRow("customers", "id");
  const products = await shop.query("select sku, price from products");
  const lines = Array.from({ length: upTo(4) }, () => ({ product: pick(products), quantity: upTo(3) }));
  const total = lines.reduce((sum, { product, quantity }) => sum + quantity * toCents(product.price!), 0);
  await shop.transaction(async () => {
    await shop.query("insert into orders (id, customer_id, placed_by, status, total, placed_at) values ($1, $2, $3, 'placed', $4, $5)", [
      id,
      customer.id!,
      name,
      money(total),
      timestamp(new Date()),
    ]);
    for (const [index, { product, quantity }] of lines.entries()) {
      await shop.query("insert into order_items (order_id, line, sku, quantity, unit_price) values ($1, $2, $3, $4, $5)", [
        id,
        index + 1,
        product.sku!,
        quantity,
        product.price!,
      ]);
      if (!isHub) {
        const taken = "update stock set quantity = quantity - $1 where store = $2 and sku = $3 and quantity >= $1";
        await shop.query(taken, [quantity, name, product.sku!]);
      }
    }
    await shop.query("update customers set points = points + $1 where id = $2", [Math.floor(total / 1000), customer.id!]);
  });
  own.push(id);
  tally.orders++;
}

async function advanceOrder(): Promise<void> {
  const order = await someRow("orders", "id, status");
  const next = STATUSES[(STATUSES as readonly string[]).indexOf(order.status!) + 1] ?? "returned";
  await shop.query("update orders set status = $1 where id = $2", [next, order.id!]);
}

async function moveCustomer(): Promise<void> {
  const customer = await someRow("customers", "id");
  await shop.query("update customers set city = $1 where id = $2", [pick(CITIES), customer.id!]);
}

/** Only orders of this writer: two clerks never cancel the same one. */
async function cancelOrder(): Promise<void> {
  const id = own.shift();
  if (id === undefined) return placeOrder();
  await shop.transaction(async () => {
    await shop.query("delete from order_items where order_id = $1", [id]);
    await shop.query("delete from orders where id = $1", [id]);
  });
}

async function changePrice(): Promise<void> {
  const product = pick(await shop.query("select sku from products"));
  await shop.query("update products set price = $1 where sku = $2", [money(499 + upTo(15_000)), product.sku!]);
}

async function restock(): Promise<void> {
  const product = pick(await shop.query("select sku from products"));
  await shop.query("update stock set quantity = quantity + 50 where store = $1 and sku = $2", [pick(STORES), product.sku!]);
}

const everywhere = [
  ...Array(10).fill(placeOrder),
  ...Array(6).fill(advanceOrder),
  moveCustomer,
  moveCustomer,
  welcomeCustomer,
  cancelOrder,
];
const work: readonly (() => Promise<void>)[] = isHub ? [...everywhere, changePrice, restock] : everywhere;

/** Another writer was in the way: an application tries again. */
const isPassing = (error: unknown) =>
  ["SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "40001", "40P01"].includes((error as { code?: string }).code ?? "");

async function workUntilStopped(database: ShopDatabase): Promise<void> {
  let reported = 0;
  while (!stopping) {
    try {
      await pick(work)();
      tally.transactions++;
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    if (Date.now() - reported > 500) {
      process.send?.(tally);
      reported = Date.now();
    }
    await sleep((Math.random() * 2000) / Number(rate));
  }
  await database.close();
  await new Promise((resolve) => (process.send === undefined || !process.connected ? resolve(null) : process.send(tally, resolve)));
}

await workUntilStopped(shop);
process.exit(0);
