import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { request } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { tableName } from "../../replicator/change/names.ts";
import type { Exchanged } from "../../replicator/edge/edge-link.ts";
import { jsonSection } from "../../replicator/link/exchange.ts";
import { type EdgeWorld, edgeWorld, type TestEdge } from "../helpers/edge-world.ts";
import { both } from "../helpers/pair.ts";

const SIGNAL = new AbortController().signal;

/** As the version before features had it, which refused what it did not know. */
const REQUEST_BEFORE = z.strictObject({
  ...{ report: z.any(), round_trip_ms: z.number(), starts: z.array(z.any()), final: z.boolean(), wait_seconds: z.number() },
});
const ANSWER_BEFORE = z.strictObject({ report: z.any(), receipts: z.array(z.any()), retried: z.number(), manifest: z.string() });

type Json = { readonly [member: string]: unknown };

/** What stands between an edge and a hub of this version makes one of them an older, or a newer, one. */
interface Between {
  readonly topology?: (answer: Json) => Json;
  readonly asked?: (head: Json) => Json;
  readonly answered?: (head: Json) => Json;
}

const without = ({ features: _, ...rest }: Json): Json => rest;
const andMore = (head: Json): Json => ({ ...head, later: { any: "thing" }, report: { ...(head.report as Json), later: [1] } });

const BETWEEN: { readonly [version: string]: Between } = {
  "an older hub": { topology: without, asked: (head) => REQUEST_BEFORE.parse(head) },
  "an older edge": { asked: without, answered: (head) => ANSWER_BEFORE.parse(head) },
  "a newer hub": { answered: andMore },
  "a newer edge": { asked: (head) => ({ ...andMore(head), features: [...(head.features as string[]), "later"] }) },
};

const open: { close(): Promise<unknown> | unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function headChanged(bytes: Buffer, change: (head: Json) => Json): Buffer {
  const end = 8 + bytes.readUInt32BE();
  return Buffer.concat([jsonSection(change(JSON.parse(bytes.subarray(8, end).toString()) as Json)), bytes.subarray(end)]);
}

async function standing(between: Between, hub: string): Promise<string> {
  const same = (head: Json): Json => head;
  const server = createServer((asked, reply) => {
    void (async () => {
      const isExchange = asked.url?.endsWith("/exchange") === true;
      const body = await buffer(asked);
      const answer = await request(`${hub}${asked.url}`, {
        method: asked.method as "GET",
        headers: { authorization: asked.headers.authorization ?? "", "content-type": asked.headers["content-type"] ?? "" },
        ...(body.length > 0 && { body: isExchange ? headChanged(body, between.asked ?? same) : body }),
      });
      const told = Buffer.from(await answer.body.arrayBuffer());
      const isTopology = asked.url?.endsWith("/topology") === true;
      reply.writeHead(answer.statusCode, { "content-type": String(answer.headers["content-type"]) });
      if (isExchange && answer.statusCode === 200) reply.end(headChanged(told, between.answered ?? same));
      else if (isTopology) reply.end(JSON.stringify((between.topology ?? same)(JSON.parse(told.toString()) as Json)));
      else reply.end(told);
    })().catch((error: Error) => reply.destroy(error));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function meeting(between: Between): Promise<{ readonly world: EdgeWorld; readonly edge: TestEdge; exchange(): Promise<Exchanged> }> {
  const world = await edgeWorld({
    engine: "postgres",
    schema: both("create table item (id bigint primary key, note text)"),
    tables: [{ name: "item" }],
  });
  open.push(world);
  const edge = await world.edge("shop", { url: await standing(between, world.hub.url) });
  await world.database.write("insert into item values (1, 'hub')");
  await edge.edge.sync(SIGNAL);
  await edge.write("insert into item values (2, 'shop')");
  await edge.edge.sync(SIGNAL);
  return { world, edge, exchange: async () => (await edge.edge.exchange({ final: true, signal: SIGNAL })) as Exchanged };
}

describe.each(Object.entries(BETWEEN))("with %s", (version, between) => {
  test("changes travel both ways, and what one of the two does not know is not told", async () => {
    const { world, edge, exchange } = await meeting(between);
    const both = [
      ["1", "hub"],
      ["2", "shop"],
    ];
    const rows = "select id, note from item order by id";
    expect([await world.database.rows(rows), await edge.rows(rows)]).toEqual([both, both]);
    const wish = { peer: edge.node.name, side: "source" as const, direction: "pull" as const, tables: [tableName("item")] };
    const run = await world.database.node.copies.runs.request(wish, "a person");
    const { fullSync } = await exchange();
    expect(fullSync?.run ?? null).toBe(version.startsWith("an older") ? null : run);
  });
});

test("whoever wants a full sync verified of an edge that does not know of that is told so, and the edge of nothing", async () => {
  const { world, edge, exchange } = await meeting({
    asked: (head) => ({ ...head, features: (head.features as string[]).filter((feature) => feature !== "verify") }),
  });
  const { runs } = world.database.node.copies;
  const wish = { peer: edge.node.name, side: "source" as const, direction: "pull" as const, tables: [tableName("item")] };
  const verified = await runs.request({ ...wish, terms: { verify: true } }, "a person");
  expect((await exchange()).fullSync).toBeNull();
  expect(await runs.find(verified)).toMatchObject({ state: "failed", error: expect.stringContaining("EDGE_TOO_OLD") });
  const plain = await runs.request(wish, "a person");
  expect((await exchange()).fullSync).toMatchObject({ run: plain, verify: false });
});
