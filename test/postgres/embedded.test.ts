import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { freshDatabase, withClient } from "../helpers/postgres.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tombolo-embedded-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const one = (url: string, sql: string) => withClient(url, async (client) => (await client.query(sql)).rows[0]);

test("an embedded server starts once for two callers, survives a kill with its data, and leaves our signals alone", {
  timeout: 60_000,
}, async () => {
  const listeners = process.listenerCount("SIGTERM") + process.listenerCount("SIGINT") + process.listenerCount("exit");
  const [first, second] = await Promise.all([startEmbedded({ directory }), startEmbedded({ directory })]);
  expect(second.url).toBe(first.url);
  expect(statSync(join(directory, "password")).mode & 0o777).toBe(0o600);
  await one(first.url, "create table kept as select 1 as id");
  expect(await one(first.url, "select current_setting('fsync') as fsync, current_setting('server_encoding') as encoding")).toEqual({
    fsync: "on",
    encoding: "UTF8",
  });

  const pidOf = () => Number(readFileSync(join(directory, "pgdata", "postmaster.pid"), "utf8").split("\n")[0]);
  const killed = pidOf();
  process.kill(killed, "SIGKILL");
  await vi.waitFor(() => expect(() => process.kill(killed, 0)).toThrow(), { timeout: 10_000 });

  const again = await startEmbedded({ directory });
  expect(await one(again.url, "select id from kept")).toEqual({ id: 1 });
  const running = pidOf();
  await again.stop();
  expect(() => process.kill(running, 0)).toThrow();
  expect(process.listenerCount("SIGTERM") + process.listenerCount("SIGINT") + process.listenerCount("exit")).toBe(listeners);
});

test("a bare role may create schemas in its database and nothing else", async () => {
  const database = await freshDatabase({ bareRole: true });
  const role = await one(
    database.url,
    "select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, has_database_privilege(current_database(), 'create') as creates from pg_roles where rolname = current_user",
  );
  expect(role).toEqual({
    rolsuper: false,
    rolcreatedb: false,
    rolcreaterole: false,
    rolreplication: false,
    rolbypassrls: false,
    creates: true,
  });
  await database.drop();
});
