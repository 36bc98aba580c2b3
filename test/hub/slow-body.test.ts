import { type ClientRequest, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { EXCHANGE_TYPE, jsonSection, PACKET_TYPE } from "../../replicator/link/exchange.ts";
import { until } from "../helpers/command.ts";
import { type EdgeWorld, edgeWorld } from "../helpers/edge-world.ts";
import { edgeToken } from "../helpers/http-link.ts";
import { both } from "../helpers/pair.ts";

const STATE = {
  ...{ epoch: null, number: "0", digest: "", channels: [], seen: [], tables: [], started_at: [], scopes: [] },
  ...{ paused: false, has_parked: false, wanted: [] },
};
const EXCHANGE = jsonSection({ report: { state: STATE, clock_ms: 0, refused: { total: 0, changes: [] } } });
const PIECES = 10;

let world: EdgeWorld;
beforeAll(async () => {
  world = await edgeWorld({
    engine: "sqlite",
    schema: both("create table item (id bigint primary key)"),
    tables: [{ name: "item" }],
    hub: { bodyTimes: { wholeMs: 400, leastBytes: 20, everyMs: 2_000 } },
  });
});
afterAll(() => world.close());

/** Sends the body piece by piece, and all of it only where `ends`; answers the status, or the code of what became of the connection. */
async function send(path: string, type: string, body: Buffer, { ends = true, pauseMs = 100 } = {}): Promise<number | string> {
  const headers = { authorization: `Bearer ${edgeToken({ child: nodeName("slow"), params: {} })}`, "content-type": type };
  const asked: ClientRequest = request(`${world.hub.url}${path}`, {
    method: "POST",
    headers: { ...headers, "content-length": body.length },
  });
  const answered = new Promise<number | string>((resolve) => {
    asked.once("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown"));
  });
  const size = Math.ceil(body.length / PIECES);
  for (let at = 0; at < body.length && !asked.destroyed; at += size) {
    if (!ends && at >= size * 2) break;
    asked.write(body.subarray(at, at + size));
    await delay(pauseMs);
  }
  if (ends && !asked.destroyed) asked.end();
  return answered;
}

test("a transfer may take as long as it moves", async () => {
  expect(await send("/v1/nodes/slow/exchange", EXCHANGE_TYPE, EXCHANGE, { pauseMs: 250 })).toBe(200);
});

test("one that stands still is cut off", async () => {
  expect(await send("/v1/nodes/slow/exchange", EXCHANGE_TYPE, EXCHANGE, { ends: false })).toBe("ECONNRESET");
});

test("any other body has to be here in time", async () => {
  const body = Buffer.from(JSON.stringify({ code: "x".repeat(60) }));
  expect(await send("/v1/enrol", "application/json", body)).toBe("ECONNRESET");
  expect(await send("/v1/enrol", "application/json", body, { pauseMs: 0 })).toBeGreaterThanOrEqual(400);
});

test.each([
  ["POST", "exchange", EXCHANGE_TYPE],
  ["PUT", "packets/1", PACKET_TYPE],
])("a line that is cut in a body is no bug: %s %s says so once, and goes on", async (method, path, type) => {
  const before = world.hub.log().length;
  const headers = { authorization: `Bearer ${edgeToken({ child: nodeName("slow"), params: {} })}`, "content-type": type };
  const asked = request(`${world.hub.url}/v1/nodes/slow/${path}`, { method, headers: { ...headers, "content-length": 1_000 } });
  asked.once("error", () => undefined);
  asked.write(EXCHANGE.subarray(0, 4), () => asked.destroy());
  const said = (): { [name: string]: unknown }[] =>
    world.hub
      .log()
      .slice(before)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  await until("the hub says so", () => said().length > 0);
  expect(said()).toEqual([expect.objectContaining({ level: "info", code: "LINE_CUT", method })]);
  expect(world.hub.log()).not.toContain("bug in Tombolo");
  expect(await send("/v1/nodes/slow/exchange", EXCHANGE_TYPE, EXCHANGE, { pauseMs: 0 })).toBe(200);
});
