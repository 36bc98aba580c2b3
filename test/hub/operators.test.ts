import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import type { Link } from "../../replicator/link/link.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { until } from "../helpers/command.ts";
import { ask, openHub, type TestHub } from "../helpers/hub.ts";
import type { TestNode } from "../helpers/nodes.ts";
import { type ServedLink, servedLink } from "../helpers/served-link.ts";

const SCHEMA = `create table orders (id text primary key not null, note text, qty integer);
  create table customers (id text primary key not null, email text unique)`;

describe.each(["postgres", "sqlite"] as const)("operators of a %s hub", (engine) => {
  let hubNode: TestNode;
  let store: TestNode;
  let hub: TestHub;
  let link: Link;
  let topology: Topology;
  let world: ServedLink;

  beforeAll(async () => {
    world = await servedLink({
      engine,
      schema: SCHEMA,
      url: "postgres://db/shop",
      more: `channels: [{ name: sales, tables: [{ name: orders, conflict: manual }, customers] }]
groups: [{ name: stores, parent: hub, channels: [sales] }]
`,
    });
    ({ hubNode, store, hub, link, topology } = world);
  });
  afterAll(() => world?.close());

  const sync = () => link.sync(new AbortController().signal);
  const viewer = (path: string) => ask(hub, "GET", path, { token: "viewer" });
  const operator = (method: string, path: string, body?: unknown, headers: { [name: string]: string } = {}) =>
    ask(hub, method, path, { token: "operator", headers, ...(body === undefined ? {} : { body }) });

  /** Both sides change one row; the conflict waits for a person. */
  async function conflict(id: string): Promise<{ id: string; path: string }> {
    await hubNode.write(`insert into orders values ('${id}', 'as it was', 1)`);
    await sync();
    await hubNode.write(`update orders set note = 'of the hub' where id = '${id}'`);
    await store.write(`update orders set note = 'of the store' where id = '${id}'`);
    await sync();
    const { body } = await viewer("/v1/conflicts?open=true&limit=1");
    return { id: body.conflicts[0].id, path: `/v1/conflicts/hub/${body.conflicts[0].id}` };
  }

  const noteOf = async (node: TestNode, id: string) => (await node.rows(`select note from orders where id = '${id}'`))[0]?.[0];

  test("status, nodes and links are as the command line tells them", async () => {
    const status = await viewer("/v1/status");
    expect(status.status).toBe(200);
    expect(status.body).toMatchObject({
      topology: "shop",
      nodes: [
        { name: "hub", engine, state: "up", error: null },
        { name: "store-1", engine: "sqlite", state: "up" },
      ],
      links: [{ parent: "hub", child: "store-1", state: "live", up: { pending_changes: 0, lag_seconds: 0 } }],
      edges: [],
    });
    expect((await viewer("/v1/links")).body.links).toHaveLength(1);
    const { body } = await viewer("/v1/nodes");
    expect(body.nodes.map(({ name, kind, parent, state }: { [key: string]: string }) => [name, kind, parent, state])).toEqual([
      ["hub", "node", null, "live"],
      ["store-1", "node", "hub", "live"],
    ]);
  });

  test("a node is paused and resumed, with its line in the audit trail", async () => {
    expect((await operator("POST", "/v1/nodes/store-1/pause")).body).toEqual({ node: "store-1", parent: "hub", paused: true });
    expect((await viewer("/v1/links")).body.links[0].state).toBe("paused");
    expect((await operator("POST", "/v1/nodes/store-1/resume")).body.paused).toBe(false);
    await sync();
    expect((await viewer("/v1/links")).body.links[0].state).toBe("live");
    const audit = await ask(hub, "GET", "/v1/audit?limit=2", { token: "admin" });
    expect(audit.body.entries).toMatchObject([
      { who: "operator", what: "node resumed", details: { node: "store-1" } },
      { who: "operator", what: "node paused" },
    ]);
    expect((await operator("POST", "/v1/nodes/hub/pause")).body.code).toBe("NODE_IS_HUB");
    const unknown = await operator("POST", "/v1/nodes/store-9/pause");
    expect([unknown.status, unknown.body.code]).toEqual([404, "NODE_UNKNOWN"]);
  });

  test("an edge that has enrolled is listed; paused can be what has come", async () => {
    const code = await ask(hub, "POST", "/v1/tokens", { token: "admin", body: { role: "node", node: "store-7", group: "stores" } });
    await ask(hub, "POST", "/v1/enrol", { body: { code: code.body.secret } });
    const { body } = await viewer("/v1/nodes");
    expect(body.nodes.at(-1)).toMatchObject({
      name: "store-7",
      kind: "edge",
      parent: "hub",
      group: "stores",
      state: "enrolled",
      engine: null,
    });
    expect((await operator("POST", "/v1/nodes/store-7/pause")).body.code).toBe("PEER_UNKNOWN");
    await hubNode.node.target.meet([{ name: nodeName("store-7"), role: "child" }]);
    expect((await operator("POST", "/v1/nodes/store-7/pause")).body).toEqual({ node: "store-7", parent: "hub", paused: true });
    expect((await viewer("/v1/status")).body.edges).toMatchObject([
      { edge: "store-7", parent: "hub", state: "paused", packets_received: "0" },
    ]);
    expect((await viewer("/v1/nodes")).body.nodes.at(-1)).toMatchObject({ name: "store-7", kind: "edge", state: "paused" });
  });

  test("conflicts are listed with filters, in pages, and shown with the row as it is now", async () => {
    for (const id of ["list-1", "list-2", "list-3"]) await conflict(id);
    const first = await viewer("/v1/conflicts?table=orders&kind=update_update&node=store-1&limit=2");
    expect(first.body.conflicts.map(({ key }: { key: { id: string } }) => key.id)).toEqual(["list-3", "list-2"]);
    expect(first.body.not_asked).toEqual([]);
    const second = await viewer(`/v1/conflicts?table=orders&limit=2&before=${first.body.next.join(",")}`);
    expect(second.body.conflicts[0].key.id).toBe("list-1");
    expect((await viewer("/v1/conflicts?kind=insert_insert")).body.conflicts).toEqual([]);
    expect((await viewer("/v1/conflicts?since=2999-01-01T00:00:00Z")).body.conflicts).toEqual([]);
    expect((await viewer("/v1/conflicts?colour=red")).body.code).toBe("REQUEST_INVALID");
    const { id, node } = first.body.conflicts[0];
    const shown = await viewer(`/v1/conflicts/${node}/${id}`);
    expect(shown.body).toMatchObject({
      conflict: {
        status: "open",
        child: "store-1",
        base_row: { note: "as it was" },
        child_row: { note: "of the store" },
        columns: ["note"],
      },
      now: { id: "list-3", note: "of the hub" },
      now_error: null,
      differing: ["note"],
    });
    expect(shown.headers.get("etag")).toMatch(/^"[\w-]{32}"$/);
    expect((await viewer("/v1/conflicts/hub/999999")).status).toBe(404);
  });

  test("a decision needs what was seen, replicates, and names who decided", async () => {
    const { path } = await conflict("decide");
    const needed = await operator("POST", `${path}/resolve`, { take: "child" });
    expect([needed.status, needed.body.code]).toEqual([428, "IF_MATCH_MISSING"]);
    const etag = (await viewer(path)).headers.get("etag") ?? "";
    const decided = await operator("POST", `${path}/resolve`, { take: "child" }, { "if-match": etag });
    expect(decided.status).toBe(200);
    expect(decided.body.conflict).toMatchObject({ status: "resolved", resolution: "child", resolved_by: "operator" });
    await sync();
    expect([await noteOf(hubNode, "decide"), await noteOf(store, "decide")]).toEqual(["of the store", "of the store"]);
    const set = await operator(
      "POST",
      `${path}/resolve`,
      { set: { note: "both", qty: null } },
      { "if-match": (await viewer(path)).headers.get("etag") ?? "" },
    );
    expect(set.status).toBe(200);
    await sync();
    expect(await store.rows("select note, qty from orders where id = 'decide'")).toEqual([["both", null]]);
  });

  test("what changed since it was seen is 412, with the new state, and nothing is done", async () => {
    const { path } = await conflict("stale");
    const etag = (await viewer(path)).headers.get("etag") ?? "";
    await hubNode.write("update orders set note = 'later' where id = 'stale'");
    const refused = await operator("POST", `${path}/resolve`, { take: "child" }, { "if-match": etag });
    expect([refused.status, refused.body.code]).toEqual([412, "CONFLICT_DECIDED"]);
    expect(refused.body).toMatchObject({ now: { note: "later" }, conflict: { status: "open" } });
    expect(await noteOf(hubNode, "stale")).toBe("later");
    const decided = await operator("POST", `${path}/resolve`, { take: "child" }, { "if-match": refused.headers.get("etag") ?? "" });
    expect(decided.status).toBe(200);
    expect(await noteOf(hubNode, "stale")).toBe("of the store");
    // two who saw the same: one decides
    const seen = (await viewer(path)).headers.get("etag") ?? "";
    const both = await Promise.all(["parent", "base"].map((take) => operator("POST", `${path}/resolve`, { take }, { "if-match": seen })));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
  });

  test.each([
    [{}, 400, "REQUEST_INVALID"],
    [{ take: "child", set: { note: "x" } }, 400, "REQUEST_INVALID"],
    [{ take: "mine" }, 400, "REQUEST_INVALID"],
    [{ set: { id: "other" } }, 422, "CONFLICT_COLUMN"],
    [{ set: { nothing: "x" } }, 422, "CONFLICT_COLUMN"],
    [{ set: { qty: "many" } }, 422, "CONFLICT_REFUSED"],
  ])("a decision that makes no sense is refused: %j", async (body, status, code) => {
    if (engine === "sqlite" && code === "CONFLICT_REFUSED") return;
    const { path } = await conflict(`bad-${JSON.stringify(body).replaceAll(/\W/g, "")}`);
    const etag = (await viewer(path)).headers.get("etag") ?? "";
    const answer = await operator("POST", `${path}/resolve`, body, { "if-match": etag });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  test("parked changes are listed, shown, tried again and discarded", async () => {
    await store.write("insert into customers values ('theirs', 'a@b.c'), ('theirs-2', 'd@e.f')");
    await hubNode.write("insert into customers values ('ours', 'a@b.c'), ('ours-2', 'd@e.f')");
    await sync();
    const { body } = await viewer("/v1/parked?node=hub&table=customers&limit=1");
    expect([body.parked.length, body.more]).toEqual([1, ["hub"]]);
    const [first] = body.parked;
    expect(first).toMatchObject({
      node: "hub",
      peer: "store-1",
      role: "child",
      table: "customers",
      op: "insert",
      code: "UNIQUE_VIOLATION",
    });
    const rest = await viewer(`/v1/parked?node=hub&after=${first.id}`);
    expect([rest.body.parked.length, rest.body.more]).toEqual([1, []]);
    const shown = await viewer(`/v1/parked/hub/${first.id}`);
    expect(shown.body.in_the_way).toMatchObject([{ kind: "taken", table: "customers" }]);
    const again = await operator("POST", `/v1/parked/hub/${first.id}/retry`);
    expect(again.body).toMatchObject({ went_through: false, parked: { attempts: first.attempts + 1 } });
    await hubNode.write(`update customers set email = 'free' where email = '${first.new.email}'`);
    expect((await operator("POST", `/v1/parked/hub/${first.id}/retry`)).body.went_through).toBe(true);
    const discarded = await operator("DELETE", `/v1/parked/hub/${rest.body.parked[0].id}`);
    expect(discarded.body).toMatchObject({ asked_for: false, parked: { id: rest.body.parked[0].id } });
    expect((await operator("DELETE", `/v1/parked/hub/${rest.body.parked[0].id}`)).body.code).toBe("PARKED_UNKNOWN");
    const audit = await ask(hub, "GET", "/v1/audit?what=parked%20discard", { token: "admin" });
    expect(audit.body.entries[0]).toMatchObject({ who: "operator" });
  });

  test("a purge takes away what everybody has, and nothing else", async () => {
    await sync();
    await hubNode.write("insert into orders values ('kept', 'not yet fetched', 1)");
    const { body } = await operator("POST", "/v1/purge", {});
    expect(body.failed).toEqual([]);
    expect(body.purged.map(({ node }: { node: string }) => node)).toEqual(["hub", "store-1"]);
    await sync();
    expect(await noteOf(store, "kept")).toBe("not yet fetched");
    expect((await operator("POST", "/v1/purge", { nodes: ["nowhere"] })).status).toBe(404);
  });

  test("changes since a position: every one once, in pages of any size, whoever made it", async () => {
    await sync();
    const { body: start } = await viewer("/v1/changes");
    expect(start).toMatchObject({ node: "hub", changes: [], more: false });
    await hubNode.write("insert into orders values ('since-1', 'a', 1), ('since-2', 'b', 2)");
    await hubNode.write("insert into customers values ('since', 'x@y.z')");
    await store.write("insert into orders values ('since-3', 'of the store', 3)");
    await sync();
    await hubNode.write("update orders set note = 'c' where id = 'since-1'");
    await hubNode.write("delete from customers where id = 'since'");
    const read = async (limit: number): Promise<string[]> => {
      const told: string[] = [];
      for (let after = start.position; ; ) {
        const { body } = await viewer(`/v1/changes?after=${after}&limit=${limit}`);
        expect(body.changes.length).toBeLessThanOrEqual(limit);
        told.push(...body.changes.map(({ table, op, key, new: row }: { [name: string]: never }) => JSON.stringify([table, op, key, row])));
        after = body.position;
        if (!body.more) return told;
      }
    };
    const all = await read(1000);
    expect(all.join("\n")).toContain('["orders","insert",{"id":"since-3"}');
    expect(all.join("\n")).toContain('"note":"c"');
    for (const limit of [1, 2, 3]) expect(await read(limit)).toEqual(all);
    expect((await viewer(`/v1/changes?after=${start.position}&table=customers`)).body.changes.length).toBeLessThan(all.length);
    expect((await viewer("/v1/changes?after=x")).body.code).toBe("REQUEST_INVALID");
    expect((await viewer("/v1/changes?table=secrets")).body.code).toBe("TABLE_UNKNOWN");
  });

  test("who waits for a change hears of it when it is made, or is answered when the service ends", async () => {
    const { body: start } = await viewer("/v1/changes");
    const waiting = viewer(`/v1/changes?after=${start.position}&wait=20`);
    await hubNode.write("insert into orders values ('awaited', 'x', 1)");
    expect((await waiting).body.changes).toMatchObject([{ table: "orders", op: "insert", key: { id: "awaited" } }]);
    const other = await openHub({ topology, nodes: [hubNode.node, store.node] });
    const { body: now } = await ask(other, "GET", "/v1/changes", { token: "viewer" });
    const unanswered = ask(other, "GET", `/v1/changes?after=${now.position}&wait=50`, { token: "viewer" });
    await until("it waits", () => other.log().includes("waits"));
    await other.close();
    expect((await unanswered).body).toMatchObject({ changes: [], position: now.position });
  });

  test("events tell how things are, and what changes", async () => {
    const response = await fetch(`${hub.url}/v1/events`, { headers: { authorization: "Bearer viewer" } });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    let heard = "";
    const listening = (async () => {
      for await (const chunk of response.body ?? []) heard += Buffer.from(chunk).toString();
    })();
    await until("how it is", () => heard.includes("event: status"));
    expect(JSON.parse(/data: (.*)/.exec(heard)?.[1] ?? "")).toMatchObject({ links: [{ parent: "hub", child: "store-1", state: "live" }] });
    await operator("POST", "/v1/nodes/store-1/pause");
    await until("the pause", () => heard.includes('"state":"paused"'));
    await operator("POST", "/v1/nodes/store-1/resume");
    await hub.close();
    await listening;
    hub = await openHub({ topology, nodes: [hubNode.node, store.node] });
  });

  /** The events of a run, to its end. */
  async function streamed(path: string, body: unknown): Promise<{ event: string; data: { [name: string]: unknown } }[]> {
    const { body: text } = await operator("POST", path, body);
    return [...(text as string).matchAll(/event: (\w+)\ndata: (.*)\n/g)].map(([, event = "", data = ""]) => ({
      event,
      data: JSON.parse(data),
    }));
  }

  test("both ends are compared, and a node is filled anew, as the run is told of; the records stay", async () => {
    await sync();
    const compared = await streamed("/v1/reconcile", { links: ["hub/store-1"] });
    expect(compared.at(-1)).toMatchObject({
      event: "done",
      data: { repair: "report", links: [{ parent: "hub", child: "store-1", error: null }] },
    });
    expect((await viewer("/v1/reconcile-runs?node=hub&limit=1")).body.runs).toMatchObject([
      { node: "hub", peer: "store-1", name: "manual" },
    ]);
    const filled = await streamed("/v1/full-sync", { link: "hub/store-1", tables: ["orders"] });
    expect(filled.at(-1)).toMatchObject({ event: "done", data: { source: "hub", target: "store-1", state: "done" } });
    // with --direction push the hub would lose a row
    await store.write("delete from orders where id = 'decide'");
    const asked = await streamed("/v1/full-sync", { link: "hub/store-1", direction: "push", tables: ["orders"] });
    expect(asked.find(({ event }) => event === "differences")?.data).toMatchObject({ tables: [{ table: "orders", removed: 1 }] });
    expect(asked.at(-1)).toMatchObject({ event: "done", data: { state: "cancelled" } });
    expect(await noteOf(hubNode, "decide")).not.toBeUndefined();
    expect((await viewer("/v1/full-sync-runs?node=store-1&limit=1")).body.runs).toMatchObject([{ side: "source", state: "cancelled" }]);
    await sync();
    await streamed("/v1/full-sync", { link: "hub/store-1", tables: ["orders"], replace_rows: true });
    expect((await viewer("/v1/full-sync-runs?node=store-1&limit=1")).body.runs).toMatchObject([{ side: "target", state: "done" }]);
    expect((await operator("POST", "/v1/reconcile", { links: ["hub/nowhere"] })).body.code).toBe("LINK_UNKNOWN");
  });

  test("metrics are Prometheus text", async () => {
    await viewer("/v1/status");
    const { headers, body } = await viewer("/v1/metrics");
    expect(headers.get("content-type")).toContain("text/plain");
    expect(body).toContain('tombolo_hub_request_duration_seconds_count{route="/v1/status",method="GET",status="200"}');
  });
});
