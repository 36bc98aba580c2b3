import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { issue } from "../../replicator/hub/issue.ts";
import { newSecret } from "../../replicator/hub/secret.ts";
import { systemTimers } from "../../replicator/lifecycle/timers.ts";
import type { Role } from "../../replicator/node/token-desk.ts";
import { ask, openHub, type TestHub, topologyFrom } from "../helpers/hub.ts";
import { sqliteNode, type TestNode } from "../helpers/nodes.ts";

/** Who may call what. A route that is not here, or whose own word differs, fails: nobody gets in by an oversight. */
const ALLOWED: { readonly [operation: string]: "public" | readonly Role[] } = {
  ping: "public",
  openapi: "public",
  enrol: "public",
  rotateOwnToken: ["node"],
  edgeStatus: ["node"],
  edgeTopology: ["node"],
  pushPacket: ["node"],
  pullPackets: ["node"],
  exchange: ["node"],
  listOwnConflicts: ["node"],
  resolveOwnConflict: ["node"],
  edgeFullSyncTables: ["node"],
  beginEdgeFullSync: ["node"],
  edgeFullSyncRows: ["node"],
  noteEdgeFullSync: ["node"],
  edgeFullSyncImage: ["node"],
  edgeFullSyncImageBytes: ["node"],
  edgeHandsOver: ["node"],
  edgeHasHandedOver: ["node"],
  beginEdgePush: ["node"],
  edgePushStage: ["node"],
  edgePushRows: ["node"],
  edgePushChanges: ["node"],
  edgePushHandOver: ["node"],
  edgeBeginsAnew: ["node"],
  edgeHasBegunAnew: ["node"],
  compareWithEdge: ["node"],
  beginEdgeReconcile: ["node"],
  endEdgeReconcile: ["node"],
  status: ["viewer"],
  listNodes: ["viewer"],
  listLinks: ["viewer"],
  topology: ["viewer"],
  plan: ["viewer"],
  listTables: ["viewer"],
  pauseNode: ["operator"],
  resumeNode: ["operator"],
  syncLink: ["operator"],
  changesSince: ["viewer"],
  events: ["viewer"],
  listConflicts: ["viewer"],
  showConflict: ["viewer"],
  resolveConflict: ["operator"],
  previewConflict: ["viewer"],
  resolveConflicts: ["operator"],
  listParked: ["viewer"],
  showParked: ["viewer"],
  retryParked: ["operator"],
  discardParked: ["operator"],
  whoami: ["viewer", "node"],
  listTokens: ["admin"],
  createToken: ["admin"],
  rotateToken: ["admin"],
  revokeToken: ["admin"],
  listAudit: ["admin"],
  listReconcileRuns: ["viewer"],
  cancelReconcile: ["operator"],
  listReconcileSchedules: ["viewer"],
  comparedRows: ["viewer"],
  reconcile: ["operator"],
  listFullSyncRuns: ["viewer"],
  showFullSyncRun: ["viewer"],
  cancelFullSync: ["operator"],
  fullSync: ["operator"],
  listNotificationTargets: ["viewer"],
  testNotifications: ["operator"],
  metrics: ["viewer"],
  purge: ["operator"],
};

/** As the last column of the role is what each may besides. */
const INCLUDES: Readonly<Record<Role, readonly Role[]>> = {
  node: ["node"],
  viewer: ["viewer"],
  operator: ["viewer", "operator"],
  admin: ["viewer", "operator", "admin"],
};

const OWN = "store-1";
const FOREIGN = "store-2";

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly ofNode: boolean;
}

let database: TestNode;
let hub: TestHub;
let operations: readonly Operation[];

beforeAll(async () => {
  database = await sqliteNode("hub", "create table orders (id text primary key not null)");
  await database.node.installation.apply([]);
  const topology = await topologyFrom(`version: 1
name: shop
nodes: [{ name: hub, type: sqlite, path: hub.db }]
channels: [{ name: sales, tables: [orders] }]
groups: [{ name: stores, parent: hub, channels: [sales] }]
`);
  // a minute goes by with every look at the clock: whoever guesses is slowed down elsewhere
  let now = Date.now();
  const timers = { ...systemTimers, now: () => (now += 60_001) };
  hub = await openHub({ topology, nodes: [database.node], authenticate: "tokens", timers });
  const { paths } = (await ask(hub, "GET", "/openapi.json")).body;
  operations = Object.entries<{ [method: string]: { operationId: string } }>(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => ({
      id: operationId,
      method: method.toUpperCase(),
      path: path.replace("{node}", OWN).replace(/\{\w+\}/g, "1"),
      ofNode: path.includes("{node}"),
    })),
  );

  /** A token of this role that nothing has been done to. */
  tokenOf = async (role, node) => {
    const edge = { node, group: "stores" };
    const wanted = {
      role,
      name: null,
      params: {},
      lifetimeMs: 60_000,
      codeLifetimeMs: 60_000,
      ...(role === "node" ? edge : { node: null, group: null }),
    };
    const { secret } = await issue(database.node.tokens, topology, wanted, "test");
    if (role !== "node") return secret;
    return (await ask(hub, "POST", "/v1/enrol", { body: { code: secret } })).body.token;
  };
});
afterAll(async () => {
  await hub.close();
  await database.close();
});

let tokenOf: (role: Role, node: string | null) => Promise<string>;

/** What the caller is told, as far as it is about rights. The answer's body is not waited for: some have no end. */
async function refusal({ method, path }: Operation, token: string | null): Promise<string | null> {
  const response = await fetch(`${hub.url}${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(method === "GET" ? {} : { "content-type": "application/json" }),
    },
    ...(method === "GET" ? {} : { body: "{}" }),
  });
  const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json") ?? false;
  const code = isProblem ? ((await response.json()) as { code: string }).code : null;
  if (!isProblem) await response.body?.cancel();
  return code !== null && ["TOKEN_INVALID", "ROLE_FORBIDDEN", "NODE_FORBIDDEN"].includes(code) ? code : null;
}

test("every operation of the document is in the table, and no other", () => {
  expect(operations.map(({ id }) => id).sort()).toEqual(Object.keys(ALLOWED).sort());
});

describe.each(Object.entries(ALLOWED))("%s", (id, allowed) => {
  const operation = () => operations.find((each) => each.id === id) as Operation;

  test.each([
    ["no token", null],
    ["a token that nobody has", newSecret("token").text],
    ["an enrolment code", newSecret("code").text],
    ["something else", "x"],
  ])("%s", async (_, token) => {
    expect(await refusal(operation(), token)).toBe(allowed === "public" ? null : "TOKEN_INVALID");
  });

  test.each(["viewer", "operator", "admin"] as const)("%s", async (role) => {
    const may = allowed === "public" || allowed.some((each) => INCLUDES[role].includes(each));
    expect(await refusal(operation(), await tokenOf(role, null))).toBe(may ? null : "ROLE_FORBIDDEN");
  });

  test("the edge itself", async () => {
    const may = allowed === "public" || allowed.includes("node");
    expect(await refusal(operation(), await tokenOf("node", OWN))).toBe(may ? null : "ROLE_FORBIDDEN");
  });

  test("another edge", async () => {
    const mayOwn = allowed === "public" || allowed.includes("node");
    const expected = mayOwn ? (allowed !== "public" && operation().ofNode ? "NODE_FORBIDDEN" : null) : "ROLE_FORBIDDEN";
    expect(await refusal(operation(), await tokenOf("node", FOREIGN))).toBe(expected);
  });
});
