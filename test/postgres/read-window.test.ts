import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeName, type Position, position, tableName } from "../../replicator/change/names.ts";
import { postgresNode, type TestNode } from "../helpers/nodes.ts";

const WRITERS = 4;

let hub: TestNode & { readonly database: { readonly url: string } };
let clients: pg.Client[] = [];

beforeAll(async () => {
  hub = await postgresNode("hub", "create table public.event (id bigint primary key, writer int)", [{ name: "event" }]);
  await hub.node.target.meet([{ name: nodeName("reader"), role: "child" }]);
  clients = await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      const client = new pg.Client({ connectionString: hub.database.url });
      await client.connect();
      return client;
    }),
  );
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await hub?.close();
});

/** Reads (after, upTo] and answers the ids in log order. */
async function read(after: Position, upTo: Position, maxRows = 1000): Promise<string[]> {
  const ids: string[] = [];
  const request = { reader: nodeName("reader"), tables: [tableName("event")], after, upTo, maxRows, maxBytes: 1 << 20 };
  for await (const group of hub.node.log.read(request)) {
    expect(group.length).toBeLessThanOrEqual(maxRows);
    for (const change of group) ids.push((JSON.parse(change.key) as { id: string }).id);
  }
  return ids;
}

type Step = { readonly writer: number; readonly action: "write" | "commit" | "rollback" | "savepoint" } | { readonly action: "tick" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      writer: fc.nat(WRITERS - 1),
      action: fc.constantFrom("write", "write", "commit", "rollback", "savepoint"),
    }) as fc.Arbitrary<Step>,
  },
  { weight: 2, arbitrary: fc.constant<Step>({ action: "tick" }) },
);

test("whatever the interleaving of transactions, every committed change is in exactly one batch, and an open one holds back nobody", {
  timeout: 60_000,
}, async () => {
  let id = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const first = (await hub.node.log.tick()).position;
      let last = first;
      const open = new Map<number, string[]>();
      const committed: string[] = [];
      const batches: string[][] = [];
      const tick = async (): Promise<void> => {
        const { position: upTo } = await hub.node.log.tick();
        if (upTo !== last) batches.push(await read(last, upTo));
        last = upTo;
        expect(batches.flat().toSorted()).toEqual(committed.toSorted());
      };
      for (const { action, ...rest } of steps) {
        if (action === "tick") {
          await tick();
          continue;
        }
        const { writer } = rest as { writer: number };
        const client = clients[writer] as pg.Client;
        const written = open.get(writer);
        if (action === "write") {
          if (written === undefined) {
            await client.query("begin");
            open.set(writer, []);
          }
          id += 1;
          await client.query(`insert into public.event values (${id}, ${writer})`);
          open.get(writer)?.push(String(id));
        } else if (written !== undefined) {
          if (action === "savepoint") {
            await client.query("savepoint s; insert into public.event values (-1, 0); rollback to s");
            continue;
          }
          await client.query(action);
          open.delete(writer);
          if (action === "commit") committed.push(...written);
        }
      }
      for (const [writer, written] of open) {
        await clients[writer]?.query("commit");
        committed.push(...written);
      }
      await tick();
      // a reader that comes late reads the whole as one window, in groups of any size
      expect((await read(first, last, 3)).toSorted()).toEqual(committed.toSorted());
    }),
    { numRuns: 40 },
  );
});

test("a position that the log no longer knows is an error, not a hole", async () => {
  const { position: upTo } = await hub.node.log.tick();
  await expect(read(position(upTo + 1000n), upTo)).rejects.toMatchObject({ code: "POSITION_UNKNOWN" });
});

test("without anything captured there is no new tick; a change wakes the reader", async () => {
  const { position: at } = await hub.node.log.tick();
  expect((await hub.node.log.tick()).position).toBe(at);
  const waiting = hub.node.log.news(at, AbortSignal.timeout(5_000));
  await hub.write("insert into public.event values (-5, 0)");
  await waiting;
  expect((await hub.node.log.tick()).position).toBeGreaterThan(at);
});
