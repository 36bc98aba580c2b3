/**
 * The application of the benchmark, a process of its own so that it shares no event loop with what measures it. Takes its database
 * and its orders over IPC (a URL holds a password, which has no place on a command line).
 */
import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";
import { now } from "../measure/clock.ts";
import { postgresWriter } from "./postgres-writer.ts";
import type { Done, Order, Writer } from "./protocol.ts";
import { sqliteWriter } from "./sqlite-writer.ts";

let writer: Writer | undefined;
let pass = 1000;

async function obey(writer: Writer, order: Order): Promise<Done> {
  const commits: [number, number][] = [];
  const took: number[] = [];
  const started = now();
  let transactions = 0;
  let changes = 0;
  switch (order.do) {
    case "bulk":
      for (; transactions < order.transactions; transactions++) {
        changes += await writer.bulk(order.bulk, order.from + transactions * order.rows, order.rows, order.pass);
      }
      break;
    case "singles": {
      const end = started + order.seconds * 1000;
      pass += 1;
      await together(Math.min(order.clients, writer.connections), async (client) => {
        for (; now() < end; transactions++) await writer.updateOne(1 + Math.floor(Math.random() * order.rows), pass, client);
      });
      changes = transactions;
      break;
    }
    case "paced": {
      const total = Math.round(order.rate * order.seconds);
      let next = 0;
      pass += 1;
      await together(Math.min(order.clients, writer.connections), async (client) => {
        for (let i = next++; i < total; i = next++) {
          const wait = started + (i * 1000) / order.rate - now();
          if (wait > 0) await sleep(wait);
          const sent = now();
          if (order.updates !== undefined && i % 2 === 1)
            await writer.updateOne(1 + Math.floor(Math.random() * order.updates), pass, client);
          else await writer.insertOne(order.from + i, client);
          if (order.updates === undefined) commits.push([order.from + i, now()]);
          took.push(now() - sent);
          // the SQLite writer never waits, and messages must get in
          await breathe();
        }
      });
      transactions = total;
      changes = total;
      break;
    }
    case "durable":
      await writer.durable(order.on);
      break;
    case "mark":
      await writer.mark(order.id, order.token);
      transactions = 1;
      changes = 1;
      break;
  }
  return { started, finished: now(), transactions, changes, commits, took };
}

async function together(clients: number, work: (client: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
}

process.on("message", (message: { open: "postgres" | "sqlite"; location: string } | Order) => {
  const answer = (content: object) => process.send?.(content);
  const work = async (): Promise<object> => {
    if ("open" in message) {
      writer = message.open === "postgres" ? await postgresWriter(message.location) : sqliteWriter(message.location);
      return {};
    }
    if (writer === undefined) throw new Error("no database is open");
    return obey(writer, message);
  };
  work().then(answer, (error: Error) => answer({ failed: error.message }));
});
// whoever gave the orders is gone
process.on("disconnect", () => process.exit(0));
