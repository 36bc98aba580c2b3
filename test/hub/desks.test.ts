import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HubClient } from "../../replicator/edge/hub-client.ts";
import { productVersion } from "../../replicator/lifecycle/product-version.ts";
import { wantedTables } from "../../replicator/lifecycle/tree.ts";
import type { Link } from "../../replicator/link/link.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { until } from "../helpers/command.ts";
import { drift } from "../helpers/drift.ts";
import { ask, openHub, type TestHub } from "../helpers/hub.ts";
import type { TestNode } from "../helpers/nodes.ts";
import { type ServedLink, servedLink } from "../helpers/served-link.ts";

const SCHEMA = `create table orders (id text primary key not null, note text, attrs text, qty integer, city text, zip text);
  create table customers (id text primary key not null, email text unique)`;
const SECRET = "kept-for-itself";

/** What the console's desks ask of the hub beyond what scripts do. */
describe.each(["postgres", "sqlite"] as const)("the desks of a %s hub", (engine) => {
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
      url: `postgres://app:${SECRET}@db/shop`,
      more: `channels: [{ name: sales, tables: [{ name: orders, conflict: { policy: manual, groups: [[city, zip]] } }, customers] }]
groups: [{ name: stores, parent: hub, channels: [sales], params: [region] }]
reconcile:
  - { name: nightly, cron: "0 3 * * *", timezone: UTC, links: all }
  - { name: weekly, cron: "0 4 * * 0", timezone: Europe/Berlin, links: [hub/store-1], repair: parent }
`,
    });
    ({ hubNode, store, hub, link, topology } = world);
  });
  afterAll(() => world?.close());

  const sync = () => link.sync(new AbortController().signal);
  const viewer = (path: string) => ask(hub, "GET", path, { token: "viewer" });
  const looked = (path: string, body: unknown) => ask(hub, "POST", path, { token: "viewer", body });
  const operator = (path: string, body: unknown, headers: { [name: string]: string } = {}) =>
    ask(hub, "POST", path, { token: "operator", body, headers });
  const noteOf = async (node: TestNode, id: string) => (await node.rows(`select note from orders where id = '${id}'`))[0]?.[0];

  /** Both sides write to one row; answers the conflict's number at the hub. */
  async function conflict(
    id: string,
    ours = "note = 'one two three, and ours'",
    theirs = "note = 'theirs: one two three'",
  ): Promise<string> {
    await hubNode.write(`insert into orders values ('${id}', 'one two three', '{"a": 1}', 1, 'Kiel', '24103')`);
    await sync();
    await hubNode.write(`update orders set ${ours} where id = '${id}'`);
    await store.write(theirs === "" ? `delete from orders where id = '${id}'` : `update orders set ${theirs} where id = '${id}'`);
    await sync();
    const { body } = await viewer("/v1/conflicts?open=true&limit=1");
    expect(body.conflicts[0].key.id).toBe(id);
    return body.conflicts[0].id;
  }

  test("who am I", async () => {
    expect((await viewer("/v1/whoami")).body).toMatchObject({
      role: "viewer",
      name: "viewer",
      node: null,
      expires_at: null,
      topology: "shop",
    });
    const real = await openHub({ topology, nodes: [hubNode.node, store.node], authenticate: "tokens" });
    try {
      const { tokens } = hubNode.node;
      const { issue } = await import("../../replicator/hub/issue.ts");
      const wanted = { role: "operator", name: "ada", node: null, group: null, params: {}, lifetimeMs: 60_000, codeLifetimeMs: 1 } as const;
      const { secret, record } = await issue(tokens, topology, wanted, "test");
      // a newer one is not taken for it
      await issue(tokens, topology, { ...wanted, name: "bob" }, "test");
      expect((await ask(real, "GET", "/v1/whoami", { token: secret })).body).toMatchObject({
        role: "operator",
        name: "ada",
        expires_at: record.expiresAt,
      });
    } finally {
      await real.close();
    }
  });

  test("the topology is told by its names, without addresses", async () => {
    const { body } = await viewer("/v1/topology");
    expect(body).toMatchObject({
      nodes: [{ name: "hub", engine }, { name: "store-1" }],
      links: [{ parent: "hub", child: "store-1", transport: "direct", channels: [{ name: "sales", direction: "both" }] }],
      groups: [{ name: "stores", parent: "hub", params: ["region"] }],
      channels: [{ name: "sales", tables: [{ name: "orders", conflict: "manual" }, { name: "customers" }] }],
    });
    expect(JSON.stringify(body)).not.toContain(SECRET);
  });

  test("the plan tells what a database lacks, with the statements, and the tables of a node tell of the hole", async () => {
    const settled = await viewer("/v1/plan");
    expect(settled.body.nodes.map(({ name, steps }: { name: string; steps: unknown[] }) => [name, steps])).toEqual([
      ["hub", []],
      ["store-1", []],
    ]);
    await store.write("alter table customers add column phone text");
    const { body } = await viewer("/v1/plan?node=store-1");
    expect(body.nodes).toHaveLength(1);
    expect(body.nodes[0].steps.length).toBeGreaterThan(0);
    expect(body.nodes[0].steps.map(({ sql }: { sql: string }) => sql).join("\n")).toContain("customers");
    expect(JSON.stringify(body)).not.toContain(SECRET);
    await store.node.installation.verify();
    const { tables } = (await viewer("/v1/nodes/store-1/tables")).body;
    const byName = new Map<string, { [name: string]: unknown }>(tables.map((each: { table: string }) => [each.table, each]));
    expect(byName.get("orders")).toMatchObject({ state: "live", channel: "sales", key: ["id"], reason: null });
    expect(byName.get("customers")).toMatchObject({
      state: "must_compare",
      reason: expect.stringContaining("other columns"),
      columns: [
        { name: "id", type: "TEXT", not_null: true },
        { name: "email", type: "TEXT", not_null: false },
      ],
    });
    expect((await viewer("/v1/nodes/nowhere/tables")).status).toBe(404);
    await store.write("alter table customers drop column phone");
    const config = topology.nodes[1]!;
    await store.node.installation.apply(wantedTables(topology, config));
    const compared = await operator("/v1/reconcile", { links: ["hub/store-1"] });
    expect(compared.body).toContain("event: done");
    expect((await viewer("/v1/plan")).body.nodes[1].steps).toEqual([]);
  });

  test("a decision is looked at before it is made, and is what it was said to be", async () => {
    const id = await conflict("look");
    const path = `/v1/conflicts/hub/${id}`;
    const taken = await looked(`${path}/preview`, { take: "child" });
    expect(taken.body).toEqual({
      decision: { take: "child" },
      row: { id: "look", note: "theirs: one two three", attrs: '{"a": 1}', qty: "1", city: "Kiel", zip: "24103" },
      changed: ["note"],
      merged: [],
    });
    const set = await looked(`${path}/preview`, { set: { qty: "7", note: null } });
    expect(set.body).toMatchObject({ row: { note: null, qty: "7" }, changed: ["note", "qty"] });
    expect((await looked(`${path}/preview`, { set: { nothing: "x" } })).body.code).toBe("CONFLICT_COLUMN");
    const spelt = (await looked(`${path}/preview`, { set: { QTY: "7" } })).body;
    expect(engine === "sqlite" ? spelt.row.qty : spelt.code).toBe(engine === "sqlite" ? "7" : "CONFLICT_COLUMN");
    expect((await looked(`${path}/preview`, {})).body.code).toBe("REQUEST_INVALID");
    const merged = await looked(`${path}/preview`, { merge: true });
    expect(merged.body).toMatchObject({
      decision: { set: { note: "theirs: one two three, and ours" } },
      changed: ["note"],
      merged: [{ column: "note", kind: "text", overlap: null }],
    });
    // nothing was done
    expect(await noteOf(hubNode, "look")).toBe("one two three, and ours");
    const decided = await operator(`${path}/resolve`, merged.body.decision, { "if-match": merged.headers.get("etag") ?? "" });
    expect(decided.status).toBe(200);
    await sync();
    expect(await noteOf(store, "look")).toBe("theirs: one two three, and ours");
    expect(await noteOf(hubNode, "look")).toBe(merged.body.row.note);
  });

  test("a merge says of each column why it has none, and keeps what came later", async () => {
    const ours = "note = 'ours', attrs = '{\"a\": 1, \"b\": 2}', qty = 5, city = 'Bonn'";
    const theirs = "note = 'theirs', attrs = '{\"a\": 3}', qty = 6, city = 'Ulm'";
    const path = `/v1/conflicts/hub/${await conflict("parts", ours, theirs)}`;
    const { body } = await looked(`${path}/preview`, { merge: true });
    expect(body.decision).toEqual({ set: { attrs: '{"a": 3, "b": 2}' } });
    const told = new Map<string, { kind: string | null; overlap: string | null }>(
      body.merged.map(({ column, ...rest }: { column: string; kind: string | null; overlap: string | null }) => [column, rest]),
    );
    expect(told.get("attrs")).toEqual({ kind: "json", overlap: null });
    expect(told.get("note")).toMatchObject({ kind: "text", overlap: expect.stringContaining("both sides changed") });
    expect(told.get("city")).toMatchObject({ kind: null, overlap: expect.stringContaining("belongs to others") });
    await hubNode.write("update orders set note = 'one two three, later' where id = 'parts'");
    const later = await looked(`${path}/preview`, { merge: true });
    // their edit and the later one: of the parent's first nothing was left to lose
    expect(later.body.row.note).toBe("theirs, later");
    const emptied = await conflict("null", "note = null, city = 'Bonn'", "note = 'theirs: one two three', city = 'Ulm'");
    const etag = (await viewer(`/v1/conflicts/hub/${emptied}`)).headers.get("etag") ?? "";
    await operator(`/v1/conflicts/hub/${emptied}/resolve`, { take: "child" }, { "if-match": etag });
    // what the parent emptied stays the parent's edit, although the row holds the child's by now
    const again = await looked(`/v1/conflicts/hub/${emptied}/preview`, { merge: true });
    expect(again.body.merged.find(({ column }: { column: string }) => column === "note").overlap).toEqual(expect.any(String));
    const deleted = await conflict("gone", "note = 'ours'", "");
    const nothing = await looked(`/v1/conflicts/hub/${deleted}/preview`, { merge: true });
    expect([nothing.status, nothing.body.code]).toEqual([422, "CONFLICT_NO_MERGE"]);
    expect((await looked(`/v1/conflicts/hub/${deleted}/preview`, { take: "child" })).body.row).toBeNull();
  });

  test("many are decided at once; what somebody has decided or changed meanwhile is left alone", async () => {
    const ids = [await conflict("many-1"), await conflict("many-2"), await conflict("many-3"), await conflict("many-4")];
    const second = `/v1/conflicts/hub/${ids[1]}`;
    const etag = (await viewer(second)).headers.get("etag") ?? "";
    await operator(`${second}/resolve`, { take: "base" }, { "if-match": etag });
    await hubNode.write("update orders set note = 'later' where id = 'many-3'");
    const { status, body } = await operator("/v1/conflicts/resolve", {
      take: "child",
      conflicts: [...ids, "999999"].map((id) => ({ node: "hub", id })),
    });
    expect([status, body.decided]).toEqual([200, 2]);
    expect(body.refused.map(({ id, error }: { id: string; error: { code: string } }) => [id, error.code])).toEqual([
      [ids[1], "CONFLICT_DECIDED"],
      [ids[2], "CONFLICT_ROW_CHANGED"],
      ["999999", "CONFLICT_UNKNOWN"],
    ]);
    const notes = await Promise.all([1, 2, 3, 4].map((at) => noteOf(hubNode, `many-${at}`)));
    expect(notes).toEqual(["theirs: one two three", "one two three", "later", "theirs: one two three"]);
    const audit = await ask(hub, "GET", "/v1/audit?what=conflict%20resolved&limit=2", { token: "admin" });
    expect(audit.body.entries.map(({ details }: { details: { conflict: string } }) => details.conflict)).toEqual([ids[3], ids[0]]);
    expect((await operator("/v1/conflicts/resolve", { take: "child", conflicts: [] })).body.code).toBe("REQUEST_INVALID");
    expect((await operator("/v1/conflicts/resolve", { take: "child", conflicts: [{ node: "x", id: "1" }] })).status).toBe(404);
  });

  test("schedules tell the next time and the last record; rows that differ are shown as both ends have them", async () => {
    await sync();
    await hubNode.node.reconciles.finish(await hubNode.node.reconciles.begin({ name: "weekly", peer: store.node.name, repair: "parent" }), {
      state: "clean",
      tables: [],
      error: null,
    });
    const { schedules } = (await viewer("/v1/reconcile-schedules")).body;
    expect(schedules).toMatchObject([
      { name: "nightly", cron: "0 3 * * *", links: null, repair: "report", last: null },
      { name: "weekly", timezone: "Europe/Berlin", links: ["hub/store-1"], last: { node: "hub", peer: "store-1", state: "clean" } },
    ]);
    const next = new Date(schedules[0].next_at);
    expect([next.getUTCHours(), next.getUTCMinutes(), next > new Date()]).toEqual([3, 0, true]);

    await hubNode.write("insert into customers values ('drift', 'a@b.c'), ('fine', 'd@e.f')");
    await sync();
    await drift(store, "update customers set email = 'other' where id = 'drift'");
    await operator("/v1/reconcile", { links: ["hub/store-1"], tables: ["customers"] });
    const [run] = (await viewer("/v1/reconcile-runs?limit=1")).body.runs;
    expect(run).toMatchObject({ node: "hub", peer: "store-1", state: "drift" });
    const { examples } = run.tables.find(({ table }: { table: string }) => table === "customers");
    expect(examples).toHaveLength(1);
    const rows = await looked("/v1/reconcile-rows", { link: "hub/store-1", table: "customers", keys: examples });
    expect(rows.body.rows).toEqual([
      { key: examples[0], parent: { id: "drift", email: "a@b.c" }, child: { id: "drift", email: "other" }, same: false },
    ]);
    const fine = await looked("/v1/reconcile-rows", { link: "hub/store-1", table: "customers", keys: [keyLike(examples[0], "fine")] });
    expect(fine.body.rows).toMatchObject([{ same: true }]);
    const none = await looked("/v1/reconcile-rows", { link: "hub/store-1", table: "customers", keys: [keyLike(examples[0], "none")] });
    expect(none.body.rows).toMatchObject([{ parent: null, child: null }]);
    const bad = await looked("/v1/reconcile-rows", { link: "hub/store-1", table: "customers", keys: [["a", "b", "c"]] });
    expect([bad.status, bad.body.code]).toEqual([400, "REQUEST_INVALID"]);
    expect((await looked("/v1/reconcile-rows", { link: "hub/store-1", table: "x", keys: examples })).body.code).toBe("TABLE_UNKNOWN");
    expect((await looked("/v1/reconcile-rows", { link: "hub/x", table: "x", keys: examples })).body.code).toBe("LINK_UNKNOWN");
  });

  test("an event comes with what is decided anew, although no count changes", async () => {
    const path = `/v1/conflicts/hub/${await conflict("again")}`;
    const decide = async (take: string) =>
      operator(`${path}/resolve`, { take }, { "if-match": (await viewer(path)).headers.get("etag") ?? "" });
    await decide("child");
    const response = await fetch(`${hub.url}/v1/events`, { headers: { authorization: "Bearer viewer" } });
    let heard = "";
    const listening = (async () => {
      for await (const chunk of response.body ?? []) heard += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    const told = () => [...heard.matchAll(/data: (.*)/g)].map(([, data = ""]) => JSON.parse(data).nodes[0]);
    await until("how it is", () => told().length === 1);
    await decide("base");
    await until("the decision", () => told().length === 2);
    const [before, after] = told();
    expect(after).toEqual({ ...before, revision: expect.not.stringMatching(before.revision) });
    await hub.close();
    await listening;
    hub = await openHub({ topology, nodes: [hubNode.node, store.node] });
  });

  test("an edge is listed with the version that it says it runs", async () => {
    const client = new HubClient({ hub: hub.url, token: "node~store-7~stores~region=north" });
    try {
      await (await client.send({ method: "GET", path: "/v1/nodes/store-7/status" })).body.dump();
    } finally {
      await client.close();
    }
    const { nodes } = (await viewer("/v1/nodes")).body;
    expect(nodes.at(-1)).toMatchObject({ name: "store-7", kind: "edge", version: productVersion() });
    expect(nodes[0].version).toBeNull();
  });

  test("no value of a row is in the log of all that", () => {
    expect(hub.log()).not.toMatch(/theirs: one two|a@b\.c|one two three/);
  });
});

/** The key of another row in the same form. */
const keyLike = ([text]: string[], id: string): string[] => [(text ?? "").replace("drift", id)];
