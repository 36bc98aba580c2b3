import { expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { createPool, PINNED, transaction } from "../../replicator/node/postgres/connection.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { postgresError } from "../../replicator/node/postgres/postgres-error.ts";
import { droppingPooler } from "../helpers/dropping-pooler.ts";
import { freshDatabase, withClient } from "../helpers/postgres.ts";

test("sessions are the same whatever database and role say, and values are text", async () => {
  const database = await freshDatabase({ bareRole: true });
  await withClient(database.superUrl, async (client) => {
    for (const setting of [
      "datestyle = 'German'",
      "intervalstyle = 'iso_8601'",
      "timezone = 'Asia/Tokyo'",
      "extra_float_digits = 0",
      "bytea_output = 'escape'",
      "search_path = public",
    ]) {
      await client.query(`alter database ${database.role} set ${setting}`);
    }
    await client.query(
      `alter role ${database.role} set synchronous_commit = off; alter role ${database.role} set default_transaction_isolation = 'serializable'`,
    );
  });
  const pool = createPool({ url: database.url, name: "a test" });
  for (const [name, value] of Object.entries(PINNED)) {
    const { rows } = await pool.query("select current_setting($1) as value", [name]);
    expect(`${name} ${rows[0].value}`).toBe(`${name} ${value}`);
  }
  const { rows } = await pool.query(
    "select 9007199254740993::int8 as big, '2026-01-02 03:04:05.123456+00'::timestamptz as at, true as yes, '{\"a\": 1.0}'::json as doc, null as none, current_setting('application_name') as name",
  );
  expect(rows).toEqual([
    { big: "9007199254740993", at: "2026-01-02 03:04:05.123456+00", yes: "t", doc: '{"a": 1.0}', none: null, name: "a test" },
  ]);
  await pool.end();
  await database.drop();
});

test.each([
  ["ignore", { code: "POSTGRES_POOLED", kind: "operator" }],
  ["refuse", { code: "POSTGRES_08P01", kind: "connect" }],
] as const)("a pooler that is to %s the settings of a session is told, before anything is read through it", async (onOptions, expected) => {
  const database = await freshDatabase();
  const pooler = await droppingPooler(database.url, onOptions);
  try {
    await expect(openPostgresNode({ name: nodeName("hub"), url: pooler.url })).rejects.toMatchObject({
      ...expected,
      hint: expect.stringContaining("the URL of the server itself"),
    });
  } finally {
    await pooler.close();
    await database.drop();
  }
});

test("a value that no string can hold is an error of whoever asked for it, by name, and others go on", async () => {
  const database = await freshDatabase();
  const pool = createPool({ url: database.url });
  const client = await pool.connect();
  // as the driver throws it, from within the socket's event
  (client as unknown as { connection: NodeJS.EventEmitter }).connection.once("dataRow", () => {
    throw Object.assign(new Error("Cannot create a string longer than 0x1fffffe8 characters"), { code: "ERR_STRING_TOO_LONG" });
  });
  const failed = await client.query("select 1").catch(postgresError);
  expect(failed).toMatchObject({ code: "VALUE_TOO_LARGE", kind: "operator" });
  client.release(true);
  expect((await pool.query("select 1 as one")).rows).toEqual([{ one: "1" }]);
  await pool.end();
  await database.drop();
});

test("errors say what kind they are, and never a row's value", async () => {
  const database = await freshDatabase();
  const pool = createPool({ url: database.url });
  await pool.query("create table public.t (id integer primary key, v text check (v <> 'secret'))");
  const failing = (sql: string) => transaction(pool, (client) => client.query(sql)).catch((error) => error);
  for (const sql of ["insert into public.t values (1, 'secret')", "select 'secret'::integer", "do $$ begin raise 'secret'; end $$"]) {
    const error = await failing(sql);
    expect(error).toMatchObject({ kind: "operator", code: expect.stringMatching(/^POSTGRES_/) });
    expect(`${error.message}${error.hint ?? ""}${JSON.stringify(error)}${error.cause ?? ""}`).not.toContain("secret");
  }
  expect(await failing("select 1 from nowhere")).toMatchObject({ kind: "operator", code: "POSTGRES_42P01" });
  expect(await failing("set local statement_timeout = 20; select pg_sleep(5)")).toMatchObject({ kind: "retry", code: "POSTGRES_57014" });
  expect(await failing("select pg_terminate_backend(pg_backend_pid())")).toMatchObject({ kind: "connect" });
  // the pool goes on
  expect((await pool.query("select 1 as one")).rows).toEqual([{ one: "1" }]);
  await pool.end();
  await database.drop();
});

test("an address where nobody listens and a missing database are connection errors", async () => {
  const database = await freshDatabase({ bareRole: true });
  const url = (change: (url: URL) => void) => {
    const changed = new URL(database.url);
    change(changed);
    return changed.href;
  };
  for (const wrong of [
    url((changed) => {
      changed.port = "1";
    }),
    url((changed) => {
      changed.pathname = "/nowhere";
    }),
  ]) {
    const pool = createPool({ url: wrong });
    const error = await pool.query("select 1").catch(postgresError);
    expect(error).toMatchObject({ kind: "connect", hint: expect.any(String) });
    await pool.end();
  }
  expect(() => createPool({ url: "not a url" })).toThrow(expect.objectContaining({ kind: "usage", code: "POSTGRES_URL" }));
  await database.drop();
});
