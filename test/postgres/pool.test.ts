import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";

let database: FreshDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

test("a connection that breaks between two statements is an error of the next one, not the end of the process", async () => {
  const pool = createPool({ url: database.url });
  const uncaught: unknown[] = [];
  const catchIt = (error: unknown) => uncaught.push(error);
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", catchIt);
  try {
    const client = await pool.connect();
    const { rows } = await client.query<{ pid: string }>("select pg_backend_pid() as pid");
    let broken = false;
    client.once("end", () => {
      broken = true;
    });
    await pool.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
    while (!broken) await delay(10);
    await expect(client.query("select 1")).rejects.toThrow();
    client.release(true);
    expect(uncaught).toEqual([]);
  } finally {
    process.off("uncaughtException", catchIt);
    for (const listener of others) process.on("uncaughtException", listener);
    await pool.end();
  }
});
