import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { TomboloError } from "../../replicator/change/error.ts";
import { answerBytes } from "../../replicator/hub/answer-bytes.ts";
import type { RoutePlugin } from "../../replicator/hub/context.ts";
import { until } from "../helpers/command.ts";
import { ask, openHub, type TestHub, type TestHubOptions } from "../helpers/hub.ts";

const opened: TestHub[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function hubWith(options: TestHubOptions = {}): Promise<TestHub> {
  const hub = await openHub(options);
  opened.push(hub);
  return hub;
}

const echo: RoutePlugin = (server) => {
  const schema = { body: z.object({ text: z.string() }), response: { 200: z.object({ text: z.string() }) } };
  server.post("/v1/echo", { config: { access: ["viewer"] }, bodyLimit: 1000, schema }, async ({ body }) => body);
  server.get("/v1/nodes/:node/echo", { config: { access: ["node", "operator"] } }, async ({ caller }) => ({ node: caller?.node }));
  server.get("/v1/fails", { config: { access: "public" } }, async () => {
    throw Object.assign(new Error("the row was 4711-secret"), { detail: "4711-secret" });
  });
  server.get("/v1/busy", { config: { access: "public" } }, async () => {
    throw new TomboloError("the database is busy", { code: "DATABASE_BUSY", kind: "retry" });
  });
};

describe("the service", () => {
  test("answers a ping to anybody, with its version, time and packet protocols", async () => {
    const { status, headers, body } = await ask(await hubWith(), "GET", "/v1/ping");
    expect(status).toBe(200);
    expect(body).toEqual({
      name: "test",
      product: "tombolo",
      version: "0.0.0",
      time: expect.any(String),
      protocol: { oldest: 1, newest: 1 },
    });
    expect(Math.abs(Date.parse(body.time) - Date.now())).toBeLessThan(5_000);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("keeps a request's id when it is one, and makes its own when it is not", async () => {
    const hub = await hubWith();
    const given = async (id: string) =>
      (await ask(hub, "GET", "/v1/ping", { headers: { "x-request-id": id } })).headers.get("x-request-id");
    expect(await given("edge-7.42")).toBe("edge-7.42");
    expect(await given("no id {}")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("a route that does not say who may call it cannot be registered", async () => {
    const open: RoutePlugin = (server) => void server.get("/v1/open", async () => "open");
    await expect(openHub({ routes: [open] })).rejects.toMatchObject({ code: "ROUTE_WITHOUT_ACCESS" });
    const nobody: RoutePlugin = (server) => void server.get("/v1/open", { config: { access: [] } }, async () => "open");
    await expect(openHub({ routes: [nobody] })).rejects.toMatchObject({ code: "ROUTE_WITHOUT_ACCESS" });
  });
});

test("an answer that is cut off by an error says at the hub what it was; one that nobody waits for any more says nothing", async () => {
  let gone = (): void => {};
  const left = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const piece = Buffer.alloc(100_000);
  const streams: RoutePlugin = (server, context) => {
    server.get("/v1/breaks", { config: { access: "public" } }, async (request, reply) => {
      const bytes = (async function* () {
        yield piece;
        throw new TomboloError("the rows cannot be read", { code: "VALUE_REFUSED", kind: "operator" });
      })();
      return reply.send(answerBytes(context, request, bytes));
    });
    server.get("/v1/endless", { config: { access: "public" } }, async (request, reply) => {
      const next = async () => ({ done: false as const, value: piece });
      const end = async () => {
        gone();
        return { done: true as const, value: undefined };
      };
      const bytes = { [Symbol.asyncIterator]: () => ({ next, return: end }) };
      return reply.send(answerBytes(context, request, bytes));
    });
  };
  const hub = await hubWith({ routes: [streams] });
  const endless = new AbortController();
  const answer = await fetch(`${hub.url}/v1/endless`, { signal: endless.signal });
  expect(answer.status).toBe(200);
  endless.abort();
  await left;
  expect(hub.log()).not.toContain("cut off");
  await expect(fetch(`${hub.url}/v1/breaks`).then((broken) => broken.arrayBuffer())).rejects.toThrow();
  const said = hub
    .log()
    .split("\n")
    .filter((line) => line.includes("an answer was cut off"));
  expect(said.map((line) => JSON.parse(line))).toMatchObject([{ level: "warn", route: "/v1/breaks", err: { code: "VALUE_REFUSED" } }]);
});

describe("errors", () => {
  test("are problems with a stable code, a hint and the request's id", async () => {
    const hub = await hubWith({ routes: [echo] });
    const { status, headers, body } = await ask(hub, "GET", "/v1/nothing");
    expect(headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
    expect(body).toEqual({
      type: "urn:tombolo:ROUTE_UNKNOWN",
      title: "The service has no such route.",
      status: 404,
      code: "ROUTE_UNKNOWN",
      detail: "there is no such route for GET",
      hint: "See /openapi.json.",
      request_id: headers.get("x-request-id"),
    });
    expect(status).toBe(404);
  });

  test("a body that is not as the schema wants it is told with every place, and not repeated", async () => {
    const hub = await hubWith({ routes: [echo] });
    const { status, body } = await ask(hub, "POST", "/v1/echo", { token: "viewer", body: { text: 5, more: "x" } });
    expect([status, body.code]).toEqual([400, "REQUEST_INVALID"]);
    expect(body.errors).toEqual([{ path: "/text", message: expect.stringContaining("expected string") }]);
  });

  test.each([
    ["no JSON", "{", 400, "REQUEST_INVALID"],
    ["a key that JavaScript must not take", '{"text":"a","__proto__":{"x":1}}', 400, "REQUEST_INVALID"],
    ["a body that is too large", JSON.stringify({ text: "x".repeat(2000) }), 413, "BODY_TOO_LARGE"],
  ])("%s", async (_, text, status, code) => {
    const hub = await hubWith({ routes: [echo] });
    const headers = { authorization: "Bearer viewer", "content-type": "application/json" };
    const response = await fetch(`${hub.url}/v1/echo`, { method: "POST", headers, body: text });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([status, code]);
  });

  test("what is not ours to explain goes to the log without its text, and not to the caller", async () => {
    const hub = await hubWith({ routes: [echo] });
    const { status, headers, body } = await ask(hub, "GET", "/v1/fails");
    expect([status, body.code]).toEqual([500, "UNEXPECTED"]);
    expect(JSON.stringify(body)).not.toContain("4711");
    expect(hub.log()).toContain(headers.get("x-request-id"));
    expect(hub.log()).not.toContain("4711");
  });

  test("what passes by itself is 503 with Retry-After", async () => {
    const { status, headers, body } = await ask(await hubWith({ routes: [echo] }), "GET", "/v1/busy");
    expect([status, body.code, headers.get("retry-after")]).toEqual([503, "DATABASE_BUSY", "1"]);
  });
});

describe("access", () => {
  test.each([
    ["nobody", undefined, 401],
    ["an unknown token", "stranger", 401],
    ["the node itself", "node~store-1", 200],
    ["another node", "node~store-2", 403],
    ["a viewer", "viewer", 403],
    ["an operator", "operator", 200],
    ["an admin", "admin", 200],
  ])("%s on a node's path", async (_, token, status) => {
    const hub = await hubWith({ routes: [echo] });
    const answer = await ask(hub, "GET", "/v1/nodes/store-1/echo", token === undefined ? {} : { token });
    expect(answer.status).toBe(status);
    if (status === 401) expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="tombolo"');
  });

  test("is decided before a body is read", async () => {
    const hub = await hubWith({ routes: [echo] });
    const { port } = new URL(hub.url);
    const socket = connect(Number(port), "127.0.0.1");
    let answer = "";
    socket.on("data", (data) => {
      answer += data.toString();
    });
    // a gigabyte is announced and never sent
    socket.write("POST /v1/echo HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n");
    await until("an answer", () => answer.includes("TOKEN_INVALID"));
    socket.destroy();
  });
});

describe("limits", () => {
  test("too many requests of one caller are 429 with Retry-After; another caller goes on", async () => {
    const authenticate: TestHubOptions["authenticate"] = async (token) => ({
      ...{ role: "viewer" as const, name: "x", node: null, group: null, params: {} },
      tokenId: BigInt(token ?? "0"),
    });
    const hub = await hubWith({ routes: [echo], maxRequests: 5, authenticate });
    const call = (token: string) => ask(hub, "POST", "/v1/echo", { token, body: { text: "a" } });
    const statuses = [];
    for (let count = 0; count < 7; count++) statuses.push((await call("1")).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
    const refused = await call("1");
    expect([refused.body.code, Number(refused.headers.get("retry-after"))]).toEqual(["RATE_LIMITED", expect.any(Number)]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await call("2")).status).toBe(200);
  });
});

describe("the end", () => {
  test("finishes the requests in hand, refuses new ones with 503, wakes those who wait, then gives the address up", async () => {
    let finish: (() => void) | undefined;
    let isWaiting = false;
    const slow: RoutePlugin = (server, { closing }) => {
      server.get("/v1/slow", { config: { access: "public" } }, async () => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return { done: true };
      });
      server.get("/v1/waits", { config: { access: "public" } }, async () => {
        isWaiting = true;
        await new Promise<void>((resolve) => closing.addEventListener("abort", () => resolve()));
        return { woken: true };
      });
    };
    const hub = await hubWith({ routes: [slow] });
    const running = ask(hub, "GET", "/v1/slow");
    const waiting = ask(hub, "GET", "/v1/waits");
    await until("both have begun", () => finish !== undefined && isWaiting);
    const closed = hub.close();
    opened.length = 0;
    expect((await waiting).body).toEqual({ woken: true });
    const late = await ask(hub, "GET", "/v1/ping");
    expect([late.status, late.body.code, late.headers.get("retry-after")]).toEqual([503, "HUB_DRAINING", "1"]);
    finish?.();
    expect((await running).body).toEqual({ done: true });
    await closed;
    await expect(ask(hub, "GET", "/v1/ping")).rejects.toThrow();
  });
});
