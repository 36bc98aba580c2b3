import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import type { LeaseHold, LeaseStore } from "../../replicator/lifecycle/lease.ts";
import { advisoryKey, postgresLease } from "../../replicator/lifecycle/lease-postgres.ts";
import { HOUSEKEEPING, type Portion, portionsOf, ShareOut } from "../../replicator/lifecycle/share-out.ts";
import { aborted } from "../../replicator/lifecycle/timers.ts";
import { linkName } from "../../replicator/lifecycle/tree.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";
import { random } from "../helpers/random.ts";

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

test("a bare role takes the lease; a sync learns who has it, and gets it once it is released", async () => {
  const first = await taken(lease("retail"));
  expect(await lease("retail").take("sync")).toEqual({
    held: false,
    isRun: true,
    holder: expect.stringMatching(new RegExp(`^run on .*, pid ${process.pid} \\(backend \\d+, since \\d{4}-`)),
  });
  await first.release();
  const sync = await lease("retail").take("sync");
  expect(sync.held).toBe(true);
  expect(await lease("retail").take("run")).toMatchObject({ held: false, isRun: false });
  if (sync.held) await sync.release();
});

test("those that run share what there is: whoever comes gets its part, what one leaves another takes, and nothing is ever held twice", async () => {
  const topology = "shared out";
  const portions: Portion[] = Array.from({ length: 7 }, (_, at) => ({ name: `hub/store-${at}`, links: [] }));
  const running = new Map<LeaseHold, ShareOut>();
  const stopped = async () => undefined;
  const settle = async () => {
    for (let step = 0; step < 3; step++) {
      for (const share of running.values()) {
        await share.balance(portions, stopped);
        const held = [...running.values()].flatMap((one) => [...one.held]);
        expect(new Set(held).size).toBe(held.length);
      }
    }
    const counts = [...running.values()].map(({ held }) => [...held].filter((name) => name !== HOUSEKEEPING).length);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(portions.length);
    expect(Math.max(...counts)).toBe(Math.ceil(portions.length / running.size));
    expect([...running.values()].filter(({ held }) => held.has(HOUSEKEEPING))).toHaveLength(1);
  };
  const { chance, pick } = random(7);
  for (let turn = 0; turn < 12; turn++) {
    if (running.size > 1 && chance(0.4)) {
      const hold = pick([...running.keys()]);
      running.delete(hold);
      await hold.release();
    } else {
      const hold = await taken(lease(topology));
      running.set(hold, new ShareOut(hold.shares));
    }
    await settle();
  }
  for (const hold of running.keys()) await hold.release();
});

test("who takes the lease anew takes again what nobody else has taken meanwhile, and stops the rest", async () => {
  const portions: Portion[] = ["hub/a", "hub/b"].map((name) => ({ name, links: [] }));
  const first = await taken(lease("renewed"));
  const share = new ShareOut(first.shares);
  await share.balance(portions, async () => undefined);
  await first.release();
  const other = await taken(lease("renewed"));
  expect(await other.shares.claim("hub/b")).toBe(true);
  const again = await taken(lease("renewed"));
  const stopped: string[] = [];
  await share.renew(again.shares, async (leaving) => void stopped.push(...leaving));
  expect([stopped, [...share.held].sort()]).toEqual([["hub/b"], ["housekeeping", "hub/a"]]);
  await Promise.all([other.release(), again.release()]);
});

test("links whose nodes capture from one slot go together", () => {
  const node = (name: string, capture: "trigger" | "slot") => ({ name: nodeName(name), type: "postgres", url: "", capture }) as const;
  const link = (parent: string, child: string) => ({ parent: nodeName(parent), child: nodeName(child), params: {}, channels: [] });
  const links = [link("hub", "a"), link("hub", "b"), link("b", "c"), link("b", "d"), link("d", "e")];
  const nodes = [
    node("hub", "trigger"),
    node("a", "trigger"),
    node("b", "slot"),
    node("c", "trigger"),
    node("d", "trigger"),
    node("e", "trigger"),
  ];
  const portions = portionsOf({ nodes, links } as unknown as Topology);
  expect(portions.map(({ name, links: some }) => [name, some.map(linkName).sort()])).toEqual([
    ["hub/a", ["hub/a"]],
    ["b/c", ["b/c", "b/d", "hub/b"]],
    ["d/e", ["d/e"]],
  ]);
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
