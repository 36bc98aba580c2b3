import { afterEach, expect, test } from "vitest";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const STORES = ["store-1", "store-2", "store-3"];
const opened: Shop[] = [];
const started: Started[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) if (each.process.exitCode === null && each.process.signalCode === null) await each.stop("SIGKILL");
  for (const shop of opened.splice(0)) await shop.close();
});

interface Run extends Started {
  /** How many of the links it replicates. */
  links(): Promise<number>;
}

async function run(shop: Shop): Promise<Run> {
  const port = await freePort();
  const replicator = start(["-c", shop.file, "run", "--log-format", "json"], { ...shop.env, METRICS_PORT: String(port) });
  started.push(replicator);
  const links = async () => {
    const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(/^tombolo_links_replicated (\d+)$/m.exec(page)?.[1]);
  };
  return { ...replicator, links };
}

let id = 0;
/** A row at the hub reaches every store, and one of each store the hub; within ten seconds, whoever has to take over first. */
async function flows(shop: Shop): Promise<void> {
  const first = id;
  await shop.hub.query("insert into shop.orders values ($1, 'from the hub')", [++id]);
  for (const store of STORES) shop.store(store).prepare("insert into orders values (?, 'from a store', 1)").run(++id);
  await until(
    `rows ${first + 1} to ${id} everywhere`,
    async () => {
      const rows = await shop.hubRows();
      return rows.includes(`${id}:`) && STORES.every((store) => shop.storeRows(store) === rows);
    },
    10_000,
  );
}

test("several processes share the links; what one of them leaves, dead or stopped, others take over within seconds, and it comes back without harm", {
  timeout: 120_000,
}, async () => {
  const shop = await openShop({ stores: STORES });
  opened.push(shop);
  const applied = await tombolo(["-c", shop.file, "apply", "--yes"], shop.env);
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  const first = await run(shop);
  await flows(shop);
  expect(await first.links()).toBe(3);
  const second = await run(shop);
  const shared = (one: number, other: number) => async () => (await first.links()) === one && (await second.links()) === other;
  await until("the second one has its part", shared(2, 1));
  await flows(shop);
  const third = await run(shop);
  await until("each has one", async () => (await third.links()) === 1 && (await shared(1, 1)()));
  await flows(shop);

  await third.stop("SIGKILL");
  await flows(shop);
  await until("two have all of it", async () => (await first.links()) + (await second.links()) === 3);

  first.process.kill("SIGSTOP");
  await flows(shop);
  expect(await second.links()).toBe(3);
  first.process.kill("SIGCONT");
  await until("each has its part again", async () => (await first.links()) + (await second.links()) === 3 && (await first.links()) > 0);
  await flows(shop);
  expect((await second.stop("SIGTERM")).code).toBe(0);
  await flows(shop);
  expect(await first.links()).toBe(3);
  const { rows } = await shop.hub.query("select count(*)::int as count from shop.orders");
  expect(rows[0]?.count).toBe(id);
});
