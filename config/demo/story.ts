import { setTimeout as sleep } from "node:timers/promises";
import { tombolo } from "./child-processes.ts";
import { compareShops } from "./compare.ts";
import { makeDrift } from "./drift.ts";
import { readMetrics, total } from "./metrics-page.ts";
import { count, heading, indent, say, seconds } from "./narrator.ts";
import { ADA, CUSTOMERS } from "./shop-data.ts";
import type { Fields } from "./shop-database.ts";
import type { Shop } from "./shop-servers.ts";
import { check, command } from "./typed-command.ts";

const LINKS = [
  ["hub", "store-1"],
  ["hub", "store-2"],
  ["hub", "reports"],
  ["store-1", "hub"],
  ["store-2", "hub"],
] as const;

/** From four databases, of which one holds a shop, to four that write and agree. */
export async function tellStory(shop: Shop, signal: AbortSignal): Promise<void> {
  heading("A shop: a hub and a replica in Postgres, two stores in SQLite");
  say(`Everything is below ${shop.directory}. Only the hub holds rows so far:`);
  say(indent(await rowCounts(shop)));

  heading("Installing");
  await command(shop, ["validate"]);
  await command(shop, ["plan"], { lines: 14 });
  await command(shop, ["apply", "--yes"], { lines: 8 });

  heading("Replicating");
  say(`$ npx tombolo -c ${shop.topology} run`);
  shop.startReplicator();
  const filling = Date.now();
  await until(shop, signal, "the stores and the replica to be filled", async () => (await differingRows(shop)) === 0);
  say(`The other three were filled from the hub in ${seconds((Date.now() - filling) / 1000)}:`);
  say(indent(await rowCounts(shop)));

  heading("Writing on all sides: two processes each at the hub, store-1 and store-2");
  shop.startWriters(15);
  for (let line = 0; line < 4; line++) {
    await sleep(1_500, undefined, { signal });
    shop.assertRunning();
    say(await progress(shop));
  }

  heading("A conflict on purpose");
  await makeConflict(shop, signal);
  await makeDrift(shop);
}

/** The hub and store-1 change one customer's city while nothing runs between them, as when a store is offline. */
async function makeConflict(shop: Shop, signal: AbortSignal): Promise<void> {
  await shop.stopReplicator();
  say("Tombolo stops (SIGTERM), as if the line were down. The shop goes on:");
  for (const [node, city] of [
    ["hub", "Paris"],
    ["store-1", "Lyon"],
  ] as const) {
    await shop.databases.get(node)!.query("update customers set city = $1 where id = $2", [city, ADA]);
    say(`    at ${node}: Ada Lovelace moves to ${city}`);
    await sleep(50, undefined, { signal });
  }
  say(`$ npx tombolo -c ${shop.topology} run`);
  shop.startReplicator();
  const conflict = await until(shop, signal, "the conflict to be decided", async () => (await adaConflict(shop)) ?? false);
  say("Both moved her from London. Tombolo decided by the table's policy and kept both versions, in the hub's tombolo.conflict_history:");
  say(
    indent(
      Object.entries(conflict)
        .map(([name, value]) => `${name.padEnd(11)} ${value}`)
        .join("\n"),
    ),
  );
}

async function adaConflict(shop: Shop): Promise<Fields | undefined> {
  const [conflict] = await shop.databases.get("hub")!.query(
    // writers may have come across her too: the conflict that was made on purpose is the one with these two cities
    `select table_name, kind, policy, resolution, reason, child_node, base_row ->> 'city' as base, parent_row ->> 'city' as parent,
            child_row ->> 'city' as child, result_row ->> 'city' as result
     from tombolo.conflict_history
     where table_name = 'shop.customers' and child_node = 'store-1' and key ->> 'id' = $1
       and parent_row ->> 'city' = 'Paris' and child_row ->> 'city' = 'Lyon'`,
    [ADA],
  );
  return conflict;
}

/** Until the signal aborts: a line every few seconds. */
export async function watch(shop: Shop, signal: AbortSignal): Promise<void> {
  // an operator's, so that the console has its buttons; of a hub that is listened to on this machine only
  const made = await tombolo(
    ["-c", shop.topology, "tokens", "create", "--role", "operator", "--name", "demo", "--expires", "1d"],
    shop.env,
  );
  check(made.status === 0, made.stderr);
  heading("It goes on until you press Ctrl-C. Meanwhile, in a browser:");
  say(indent(`${shop.consoleUrl}#token=${made.stdout.trim()}`));
  heading("Or in another terminal:");
  say(
    indent(
      [
        `npx tombolo -c ${shop.topology} status`,
        `npx tombolo -c ${shop.topology} reconcile`,
        `curl ${shop.metricsUrl}`,
        `psql '${shop.locations.get("hub")}' -c 'select * from tombolo.conflict_history order by id desc limit 5'`,
        `psql '${shop.locations.get("hub")}' -c "update shop.customers set city = 'Ghent' where id = '${ADA}'"`,
        `sqlite3 ${shop.locations.get("store-2")} "select * from customers where id = '${ADA}'"`,
        `less ${shop.directory}/replicator.log`,
      ].join("\n"),
    ),
  );
  while (!signal.aborted) {
    shop.assertRunning();
    say(await progress(shop));
    await sleep(5_000, undefined, { signal }).catch(() => undefined);
  }
}

/** Stops the writers, lets everything arrive, and checks what must hold then. Throws what does not. */
export async function checkStory(shop: Shop, signal: AbortSignal): Promise<void> {
  heading("The end: the writers stop, and all four must hold the same");
  await shop.stopWriters();
  const settling = Date.now();
  await until(
    shop,
    signal,
    "all nodes to be equal",
    async () => (await differingRows(shop)) === 0,
    () => describeDifferences(shop),
  );
  const { rows, digests } = await compareShops(shop.databases);
  say(`Equal on all four after ${seconds((Date.now() - settling) / 1000)}, row by row, compared by reading the tables:`);
  for (const [table, number] of Object.entries(rows))
    say(indent(`${table.padEnd(12)} ${count(number, "row").padEnd(12)} sha256 ${digests[table]?.slice(0, 16)}…`));

  const expected = CUSTOMERS + shop.writers.reduce((sum, writer) => sum + writer.tally().customers, 0);
  check(rows.customers === expected, `the writers made customers up to ${expected}, the nodes hold ${rows.customers}`);
  const conflict = await adaConflict(shop);
  check(conflict?.parent === "Paris" && conflict.child === "Lyon", "the conflict is not in the history with both versions");

  const samples = await readMetrics(shop.metricsUrl);
  for (const [source, target] of LINKS) {
    const lag = samples.find(
      ({ name, labels }) => name === "tombolo_replication_lag_seconds" && labels.source === source && labels.target === target,
    );
    check(lag !== undefined, `${shop.metricsUrl} has no lag from ${source} to ${target}`);
  }
  const conflicts = total(samples, "tombolo_conflicts_total");
  check(conflicts >= 1, `${shop.metricsUrl} counts no conflict`);
  say(`The metrics show the lag of all ${LINKS.length} directions and ${count(conflicts, "conflict")}.`);
  await command(shop, ["status"], { lines: 40 });
  await command(shop, ["reconcile"], { lines: 20 });
}

/** Asks again and again until there is an answer, while everything that should run does. */
async function until<T>(
  shop: Shop,
  signal: AbortSignal,
  what: string,
  ask: () => Promise<T | false>,
  details?: () => Promise<string>,
): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== false) return answer;
    if (signal.aborted) throw new Error(`waited in vain for ${what}${details === undefined ? "" : `: ${await details()}`}`);
    shop.assertRunning();
    await sleep(200, undefined, { signal }).catch(() => undefined);
  }
}

const differingRows = async (shop: Shop): Promise<number> =>
  (await compareShops(shop.databases)).differences.reduce((sum, { rows }) => sum + rows, 0);

async function describeDifferences(shop: Shop): Promise<string> {
  const { differences } = await compareShops(shop.databases);
  return differences
    .map(({ node, table, rows, keys }) => `${count(rows, "row")} of ${table} at ${node}, e.g. ${keys.join(" ")}`)
    .join("; ");
}

async function rowCounts(shop: Shop): Promise<string> {
  const lines: string[] = [];
  for (const [node, database] of shop.databases) {
    const query =
      "select (select count(*) from customers) as customers, (select count(*) from orders) as orders, (select count(*) from order_items) as items";
    const [row] = await database.query(query);
    lines.push(
      `${node.padEnd(8)} ${count(Number(row?.customers), "customer")}, ${count(Number(row?.orders), "order")}, ${count(Number(row?.items), "item")}`,
    );
  }
  return lines.join("\n");
}

async function progress(shop: Shop): Promise<string> {
  const samples = await readMetrics(shop.metricsUrl);
  const lags = samples.filter(({ name }) => name === "tombolo_replication_lag_seconds").map(({ value }) => value);
  const transactions = shop.writers.reduce((sum, writer) => sum + writer.tally().transactions, 0);
  const lag = lags.length === 0 ? "lag not known yet" : `largest lag ${seconds(Math.max(...lags))}`;
  const applied = count(total(samples, "tombolo_changes_applied_total"), "change");
  return `${new Date().toTimeString().slice(0, 8)}  ${count(transactions, "transaction")} written, ${applied} applied, ${lag}, ${count(total(samples, "tombolo_conflicts_total"), "conflict")}`;
}
