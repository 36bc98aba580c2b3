import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TomboloError } from "../../replicator/change/error.ts";
import type { NodeName } from "../../replicator/change/names.ts";
import { nodeName } from "../../replicator/change/names.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { fullSync } from "../../replicator/full-sync/full-sync.ts";
import type { Authenticate } from "../../replicator/hub/authenticate.ts";
import type { Caller } from "../../replicator/hub/caller.ts";
import type { RoutePlugin } from "../../replicator/hub/context.ts";
import { HUB_ROUTES } from "../../replicator/hub/routes.ts";
import { buildServer, type Hub, type HubServerOptions } from "../../replicator/hub/server.ts";
import type { LeaseStore } from "../../replicator/lifecycle/lease.ts";
import { systemTimers } from "../../replicator/lifecycle/timers.ts";
import { createLink } from "../../replicator/link/create-link.ts";
import type { Node } from "../../replicator/node/node.ts";
import { LagBook } from "../../replicator/observability/lag.ts";
import { createLogger } from "../../replicator/observability/log.ts";
import { createMetrics } from "../../replicator/observability/metrics.ts";
import { loadTopology } from "../../replicator/topology/load.ts";
import type { Topology } from "../../replicator/topology/topology.ts";

/** A hub's service on a free port of this machine, over nodes that the test has opened. */
export interface TestHub extends Hub {
  readonly url: string;
  /** All that was logged, as JSON lines. */
  log(): string;
}

export interface TestHubOptions
  extends Partial<Pick<HubServerOptions, "maxRequests" | "trustProxy" | "timers" | "version" | "bodyTimes" | "images">> {
  /** By role, as below, unless it is said; `tokens` is as in production. */
  readonly authenticate?: Authenticate | "tokens";
  readonly topology?: Topology;
  readonly nodes?: readonly Node[];
  readonly routes?: readonly RoutePlugin[];
  /** Who replicates; nobody unless it is said. */
  readonly lease?: LeaseStore;
  /** A free one unless it is said. */
  readonly port?: number;
}

const modules = createModuleRunner();

/** The nodes of a test are not where their topology says: there is no file to lock. */
const freeLease: LeaseStore = {
  take: async () => ({
    held: true,
    lost: new AbortController().signal,
    shares: { members: async () => 1, claim: async () => true, yield: async () => undefined },
    release: async () => undefined,
    remove: async () => undefined,
  }),
};

export async function openHub(options: TestHubOptions = {}): Promise<TestHub> {
  const { nodes = [], topology = emptyTopology(nodes), routes = [], authenticate = byRole, lease = freeLease, port = 0, ...rest } = options;
  const lines: string[] = [];
  const log = await createLogger({ level: "trace", format: "json", stream: { write: (line) => void lines.push(line) } });
  const lag = new LagBook();
  const hub = await buildServer({
    topology: () => topology,
    node: async (name) => {
      const node = nodes.find((each) => each.name === name);
      if (node === undefined) throw new TomboloError(`the topology has no node ${name}`, { code: "NODE_UNKNOWN", kind: "usage" });
      return node;
    },
    parts: {
      createLink: async (link) => createLink({ ...link, modules }),
      judge: async () => createJudge(modules),
      fullSync: (sync) => fullSync({ ...sync, modules }),
      leaseStore: async () => lease,
    },
    metrics: createMetrics({ version: "0.0.0", lag, now: Date.now }),
    lag,
    log,
    timers: systemTimers,
    version: "0.0.0",
    ...(authenticate === "tokens" ? {} : { authenticate }),
    routes: [...HUB_ROUTES, ...routes],
    tls: null,
    trustProxy: [],
    maxRequests: 1_000_000,
    ...rest,
  });
  await hub.server.listen({ host: "127.0.0.1", port });
  const address = hub.server.server.address() as { port: number };
  return { ...hub, url: `http://127.0.0.1:${address.port}`, log: () => lines.join("") };
}

/** For tests that are not about tokens: `admin`, or `node store-1`, with `node store-1 stores region=north` for an edge's group and parameters. */
export const byRole: Authenticate = async (token) => {
  const [role = "", node, group, ...params] = (token ?? "").split("~");
  if (!["node", "viewer", "operator", "admin"].includes(role)) {
    throw new TomboloError("no token", { code: "TOKEN_INVALID", kind: "usage" });
  }
  return {
    role: role as Caller["role"],
    name: token ?? "",
    node: node === undefined ? null : (nodeName(node) as NodeName),
    group: group ?? null,
    params: Object.fromEntries(params.map((each) => each.split("=").map(decodeURIComponent))),
    tokenId: 1n,
  };
};

export const emptyTopology = (nodes: readonly Node[] = []): Topology => ({
  name: "test",
  file: "/test.yaml",
  nodes: nodes.map(({ name }) => ({ name, type: "sqlite", path: `/${name}.db` })),
  channels: [],
  links: [],
  groups: [],
  batch: { maxRows: 5000, maxBytes: 4 * 2 ** 20, maxWaitMs: 50, compression: "gzip" },
  retry: { initialMs: 50, factor: 2, maxMs: 500, jitter: true },
  log: { keepMs: 7 * 86_400_000, maxSizeBytes: 10 * 2 ** 30 },
  history: { keepMs: 90 * 86_400_000 },
  reconcile: [],
  metrics: null,
  hub: null,
  addsColumns: false,
});

/** A topology of this text, as from a file. */
export async function topologyFrom(text: string): Promise<Topology> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-topology-"));
  try {
    const file = join(folder, "topology.yaml");
    writeFileSync(file, text);
    const loaded = await loadTopology(file, {});
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    return loaded.topology;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An answer with its body read as JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is said there
  readonly body: any;
}

/** One request; `body` is sent as JSON. */
export async function ask(
  hub: Pick<TestHub, "url">,
  method: string,
  path: string,
  options: { readonly token?: string; readonly body?: unknown; readonly headers?: { readonly [name: string]: string } } = {},
): Promise<Answer> {
  const response = await fetch(`${hub.url}${path}`, {
    method,
    headers: {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.body === undefined ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}
