import { afterEach, describe, expect, test } from "vitest";
import type { Edge } from "../../replicator/edge/edge.ts";
import { INTERRUPTED } from "../../replicator/edge/edge-link.ts";
import { type EdgeWorld, edgeWorld, type TestEdge } from "../helpers/edge-world.ts";
import { type Fate, type FaultyProxy, faultyProxy } from "../helpers/faulty-proxy.ts";
import { both } from "../helpers/pair.ts";
import { random } from "../helpers/random.ts";

const SCHEMA = both("create table item (id bigint primary key, note text); create table sum (id bigint primary key, n bigint)");
const TABLES = [
  { name: "item", policy: "newest_wins" },
  { name: "sum", policy: "merge", mergeColumns: { n: "counter" } },
] as never;
const SIGNAL = new AbortController().signal;

let world: EdgeWorld;
const proxies: FaultyProxy[] = [];
afterEach(async () => {
  await world.close();
  for (const each of proxies.splice(0)) await each.close();
});

/** Syncs until it goes through; whatever the line did, and however often. Answers the codes of what went wrong. */
async function syncAtLast(edge: Edge, most = 60): Promise<string[]> {
  const codes: string[] = [];
  for (let attempt = 0; attempt < most; attempt++) {
    try {
      await edge.sync(SIGNAL);
      return codes;
    } catch (error) {
      codes.push((error as { code?: string }).code ?? String(error));
    }
  }
  throw new Error(`never went through: ${codes.join(", ")}`);
}

const expectSame = async (store: TestEdge): Promise<void> => {
  for (const select of ["select id, note from item order by id", "select id, n from sum order by id"]) {
    expect(await store.rows(select)).toEqual(await world.database.rows(select));
  }
};

/** What may come of a line that damages bytes: nothing else, and above all no fork. */
const HARMLESS = [
  "HUB_UNREACHABLE",
  "PACKET_TRUNCATED",
  "PACKET_CORRUPT",
  "PACKET_COUNT",
  "PACKET_DIGEST",
  "PACKET_GAP",
  "EXCHANGE_INVALID",
  "PACKET_TOO_LARGE",
  "PACKET_PROTOCOL",
  "PACKET_CODEC",
  // a bit of the request's own lines, of which nothing is ours
  "TOKEN_INVALID",
  "NODE_FORBIDDEN",
  "ROUTE_UNKNOWN",
  "REQUEST_INVALID",
  "ROLE_FORBIDDEN",
  "GROUP_UNKNOWN",
  "BODY_TOO_LARGE",
];

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  const KINDS = ["lose answer", "truncate", "flip answer", "flip request", "repeat", "delay"] as const;

  test.each(KINDS)("a line that does this to every other connection: %s. Both end equal, counters count everything once", async (kind) => {
    world = await edgeWorld({ engine, schema: SCHEMA, tables: TABLES });
    const { chance, int } = random(KINDS.indexOf(kind) + 1);
    let calm = false;
    const proxy = await faultyProxy(world.hub.url, () => (calm || chance(0.4) ? { kind: "none" } : ({ kind, after: int(3000) } as Fate)));
    proxies.push(proxy);
    const store = await world.edge("store", { url: proxy.url });
    await world.database.write("insert into sum values (1, 0); insert into item values (1, 'a'), (2, 'b'), (3, 'c')");
    const codes: string[] = [];
    codes.push(...(await syncAtLast(store.edge)));
    for (let round = 0; round < 8; round++) {
      await store.write(`update sum set n = n + 1; insert into item values (${100 + round}, 'edge ${"x".repeat(round * 200)}')`);
      await world.database.write(`update sum set n = n + 100; insert into item values (${200 + round}, 'hub ${"y".repeat(round * 200)}')`);
      await store.write("update item set note = note || 'e' where id = 1");
      if (round % 2 === 1) await world.database.write("update item set note = note || 'h' where id = 1");
      codes.push(...(await syncAtLast(store.edge)));
    }
    calm = true;
    await syncAtLast(store.edge);
    await expectSame(store);
    expect(await store.rows("select n from sum")).toEqual([["808"]]);
    expect(codes.filter((code) => !HARMLESS.includes(code))).toEqual([]);
    expect(proxy.fates.get(kind) ?? 0).toBeGreaterThan(0);
  });
});

test("while one waits for the other's news, either's arrive at once, and waiting ends when it is interrupted", async () => {
  world = await edgeWorld({ engine: "postgres", schema: SCHEMA, tables: TABLES });
  const store = await world.edge("store");
  await store.edge.sync(SIGNAL);
  const waiting = store.edge.exchange({ final: false, waitMs: 20_000, signal: SIGNAL });
  await world.database.write("insert into item values (1, 'news')");
  expect(await waiting).toMatchObject({ received: 1 });
  const interrupt = new AbortController();
  const again = store.edge.exchange({ final: false, waitMs: 20_000, signal: SIGNAL, interrupt: interrupt.signal });
  setImmediate(() => interrupt.abort());
  expect(await again).toBe(INTERRUPTED);
  await store.write("insert into item values (2, 'mine')");
  expect(await store.edge.sync(SIGNAL)).toMatchObject({ sent: 1 });
  await expectSame(store);
});
