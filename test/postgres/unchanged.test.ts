import { expect, test } from "vitest";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { unlessUnchanged } from "../../replicator/node/postgres/unchanged.ts";
import { until } from "../helpers/command.ts";
import { freshDatabase } from "../helpers/postgres.ts";

test("what was found is remembered until something is committed, and not for ever", async () => {
  const database = await freshDatabase();
  const pool = createPool({ url: database.url });
  await pool.query("create table public.item (id integer)");
  let [looks, now] = [0, 0];
  const items = unlessUnchanged(
    pool,
    async () => {
      looks += 1;
      return Number((await pool.query("select count(*) as n from public.item")).rows[0].n);
    },
    () => now,
  );
  /** Others use the server as well: at some moment nobody does. */
  const atRest = (what: string) =>
    until(what, async () => {
      const before = looks;
      await items();
      return looks === before;
    });
  await atRest("it is not looked at again while nothing is committed");

  for (let written = 1; written <= 20; written++) {
    await pool.query("insert into public.item values (1)");
    expect(await items()).toBe(written);
  }

  const client = await pool.connect();
  await client.query("begin");
  await client.query("insert into public.item values (1)");
  await atRest("it is not looked at again while a transaction is open");
  expect(await items()).toBe(20);
  await client.query("commit");
  client.release();
  expect(await items()).toBe(21);

  await atRest("it is at rest again");
  const before = looks;
  now += 30_000;
  await items();
  expect(looks).toBe(before + 1);
  await pool.end();
  await database.drop();
});
