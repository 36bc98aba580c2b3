import { afterEach, describe, expect, test } from "vitest";
import { EdgeAgent } from "../../replicator/edge/agent.ts";
import { issue } from "../../replicator/hub/issue.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { type EdgeWorld, edgeWorld, type TestEdge } from "../helpers/edge-world.ts";
import { ask } from "../helpers/hub.ts";
import { both } from "../helpers/pair.ts";

const SIGNAL = new AbortController().signal;
const SCHEMA = both("create table item (id bigint primary key, note text)");
const ALL = "select id, note from item order by id";

let world: EdgeWorld;
afterEach(() => world.close());

describe.each(["postgres", "sqlite"] as const)("an operator of a %s hub", (engine) => {
  const operator = (method: string, path: string, body?: unknown, token = "operator") =>
    ask(world.hub, method, path, { token, ...(body === undefined ? {} : { body }) });
  /** The last event of a run, and those before it. */
  const streamed = async (path: string, body: unknown): Promise<{ event: string; data: { [name: string]: unknown } }[]> =>
    [...((await operator("POST", path, body)).body as string).matchAll(/event: (\w+)\ndata: (.*)\n/g)].map(([, event = "", data = ""]) => ({
      event,
      data: JSON.parse(data),
    }));
  const enrolled = async (): Promise<TestEdge> => {
    world = await edgeWorld({ engine, schema: SCHEMA, tables: [{ name: "item" }] });
    const edge = await world.edge("shop");
    const wanted = {
      role: "node" as const,
      name: null,
      node: "shop",
      group: "edges",
      params: {},
      lifetimeMs: null,
      codeLifetimeMs: 60_000,
    };
    await issue(world.database.node.tokens, world.topology, wanted, "test");
    await world.database.write("insert into item values (1, 'a'), (2, 'b'), (3, 'c')");
    await edge.edge.sync(SIGNAL);
    return edge;
  };

  test("has an edge filled, filled from and compared, as the run is told of", async () => {
    const edge = await enrolled();
    const stop = new AbortController();
    const watcher = { status() {}, progress() {}, completed() {}, failed() {} };
    const ended = new EdgeAgent({ edge: edge.edge, intervalMs: 200, watcher }).run(stop.signal);
    await drift(edge, "delete from item where id = 1");
    const compared = await streamed("/v1/reconcile", { links: ["hub/shop"] });
    expect(compared.find(({ event }) => event === "link")?.data).toMatchObject({
      parent: "hub",
      child: "shop",
      outcome: "drift",
      tables: [{ table: "item", differing: 1, under_way: 0 }],
    });
    expect(compared.at(-1)).toMatchObject({ event: "done", data: { repair: "report", links: [{ child: "shop" }] } });
    const filled = await streamed("/v1/full-sync", { link: "hub/shop", replace_rows: true });
    expect(filled.at(-1)).toMatchObject({
      event: "done",
      data: { link: "hub/shop", state: "done", rows: 3, direction: "pull", differences: null },
    });
    expect(await edge.rows(ALL)).toEqual(await world.database.rows(ALL));
    const anew = await streamed("/v1/full-sync", { link: "hub/shop", replace_rows: true, begin_anew: true });
    expect(anew.at(-1)).toMatchObject({ event: "done", data: { state: "done", rows: 3 } });
    const begun = await operator("GET", "/v1/audit?what=edge%20began%20anew", undefined, "admin");
    expect(begun.body.entries).toMatchObject([{ who: "edge shop", details: { node: "shop", direction: "pull" } }]);
    await drift(edge, "delete from item where id > 1; insert into item values (9, 'true')");
    const pushed = await streamed("/v1/full-sync", {
      ...{ link: "hub/shop", direction: "push", replace_rows: true, max_deletes: 2, verify: true },
    });
    expect(pushed.at(-1)).toMatchObject({ event: "done", data: { state: "done", direction: "push", differences: 0 } });
    expect(await world.database.rows(ALL)).toEqual([
      ["1", "a"],
      ["9", "true"],
    ]);
    const run = String(pushed.at(-1)?.data.run);
    const shown = await operator("GET", `/v1/full-sync-runs/${run}?node=hub`, undefined, "viewer");
    expect(shown.body).toMatchObject({ id: run, side: "target", state: "done", peer: "shop", verify: true, differing: 0 });
    const audit = await operator("GET", "/v1/audit?what=full%20sync%20asked%20for", undefined, "admin");
    expect(audit.body.entries[0]).toMatchObject({ who: "operator" });
    stop.abort();
    await ended;
  });

  test("cancels what an edge has not begun, and is told what an edge cannot be told to do", async () => {
    const edge = await enrolled();
    const asked = await streamed("/v1/full-sync", { link: "hub/shop", replace_rows: true, wait: false });
    expect(asked).toMatchObject([{ event: "done", data: { state: "requested" } }]);
    const run = String(asked[0]?.data.run);
    const cancelled = await operator("POST", `/v1/full-sync-runs/${run}/cancel?node=hub`);
    expect([cancelled.status, cancelled.body.state]).toEqual([200, "cancelled"]);
    await edge.edge.sync(SIGNAL);
    expect(await edge.node.copies.runs.list(5)).toEqual([]);
    expect((await operator("GET", "/v1/full-sync-runs/999?node=hub")).body).toMatchObject({ code: "FULL_SYNC_UNKNOWN", status: 404 });
    for (const [path, body] of [
      ["/v1/full-sync", { link: "hub/shop" }],
      ["/v1/full-sync", { link: "hub/shop", replace_rows: true, resume: true }],
      ["/v1/full-sync", { link: "hub/shop", replace_rows: true, max_deletes: 1 }],
      ["/v1/reconcile", { links: ["hub/shop"], tables: ["item"] }],
      ["/v1/reconcile", { links: ["hub/shop"], max_deletes: 1 }],
    ] as const) {
      const { status, body: problem, headers } = await operator("POST", path, body);
      expect([status, problem.code, headers.get("content-type")]).toEqual([422, "RUN_OPTION", "application/problem+json; charset=utf-8"]);
    }
    expect((await operator("POST", "/v1/full-sync", { link: "hub/shop", replace_rows: true, tables: ["none"] })).body.code).toBe(
      "FULL_SYNC_TABLES",
    );
    expect((await operator("POST", "/v1/full-sync", { link: "hub/nobody", replace_rows: true })).body.code).toBe("LINK_UNKNOWN");
    const waiting = await streamed("/v1/reconcile", { links: ["hub/shop"], wait: false });
    expect(waiting.at(-1)?.data).toMatchObject({ links: [{ child: "shop", outcome: "requested" }] });
    const asks = async () => (await operator("GET", "/v1/status", undefined, "viewer")).body.edges[0].asked;
    const [wish] = await asks();
    expect(wish).toMatchObject({ what: "reconcile", how: "report" });
    const given = await operator("POST", `/v1/reconcile-runs/${wish.run}/cancel?node=hub`);
    expect([given.status, given.body.state]).toEqual([200, "cancelled"]);
    expect(await asks()).toEqual([]);
    await edge.edge.sync(SIGNAL);
    // nothing began in its place
    const runs = await operator("GET", "/v1/reconcile-runs?node=hub", undefined, "viewer");
    expect(runs.body.runs).toMatchObject([{ id: wish.run, state: "cancelled" }]);
    expect((await operator("POST", "/v1/reconcile-runs/999/cancel?node=hub")).body).toMatchObject({
      code: "RECONCILE_UNKNOWN",
      status: 404,
    });
    const audit = await operator("GET", "/v1/audit?what=reconcile%20cancelled", undefined, "admin");
    expect(audit.body.entries).toMatchObject([{ who: "operator", details: { node: "shop", run: wish.run } }]);
  });

  test("who closes the request has the edge's full sync cancelled", async () => {
    await enrolled();
    const gone = new AbortController();
    const headers = { authorization: "Bearer operator", "content-type": "application/json" };
    const body = JSON.stringify({ link: "hub/shop", replace_rows: true });
    await fetch(`${world.hub.url}/v1/full-sync`, { method: "POST", headers, body, signal: gone.signal });
    const { runs } = world.database.node.copies;
    await until("it is asked", async () => (await runs.requested()).size === 1);
    gone.abort();
    await until("it is cancelled", async () => (await runs.list(1))[0]?.state === "cancelled");
  });

  test("who closes the request has the edge's comparison cancelled", async () => {
    await enrolled();
    const gone = new AbortController();
    const headers = { authorization: "Bearer operator", "content-type": "application/json" };
    const body = JSON.stringify({ links: ["hub/shop"] });
    await fetch(`${world.hub.url}/v1/reconcile`, { method: "POST", headers, body, signal: gone.signal });
    const { reconciles } = world.database.node;
    await until("it is asked", async () => (await reconciles.requested()).size === 1);
    gone.abort();
    await until("it is cancelled", async () => (await reconciles.runs({ limit: 1 }))[0]?.state === "cancelled");
    expect((await reconciles.requested()).size).toBe(0);
  });
});
