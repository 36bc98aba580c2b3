import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LeaseHold, LeaseStore } from "../../replicator/lifecycle/lease.ts";
import { advisoryKey, postgresLease } from "../../replicator/lifecycle/lease-postgres.ts";
import { aborted } from "../../replicator/lifecycle/timers.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";

let database: FreshDatabase;
beforeAll(async () => {
  database = await freshDatabase({ bareRole: true });
});
afterAll(() => database.drop());

const lease = (topology: string): LeaseStore => postgresLease({ node: "hub", topology, url: async () => database.url });

async function taken(store: LeaseStore): Promise<LeaseHold> {
  const answer = await store.take("run");
  if (!answer.held) throw new Error(`held by ${answer.holder}`);
  return answer;
}

test("a bare role takes the lease; a second process learns who has it, and gets it once it is released", async () => {
  const first = await taken(lease("retail"));
  expect(await lease("retail").take("run")).toEqual({
    held: false,
    isRun: true,
    holder: expect.stringMatching(new RegExp(`^run on .*, pid ${process.pid} \\(backend \\d+, since \\d{4}-`)),
  });
  await first.release();
  await (await taken(lease("retail"))).release();
});

test("topologies in one hub do not exclude each other", async () => {
  const [one, two] = [await taken(lease("one")), await taken(lease("two"))];
  await Promise.all([one.release(), two.release()]);
});

test("the holder learns at once that its session has ended, and then another one can have the lease", async () => {
  const first = await taken(lease("retail"));
  const client = new Client({ connectionString: database.superUrl });
  await client.connect();
  await client.query(
    `select pg_terminate_backend(pid, 5000) from pg_locks
      where locktype = 'advisory' and objsubid = 1 and (classid::bigint << 32 | objid::bigint) = $1::bigint`,
    [advisoryKey("retail")],
  );
  await client.end();
  await aborted(first.lost);
  await (await taken(lease("retail"))).release();
  await first.release();
});

test("a hub that does not answer is a connection error", async () => {
  const away = postgresLease({ node: "hub", topology: "retail", url: async () => "postgres://nobody:secret@127.0.0.1:1/none" });
  await expect(away.take("run")).rejects.toMatchObject({
    code: "LEASE_UNREACHABLE",
    kind: "connect",
    message: expect.not.stringContaining("secret"),
  });
});
