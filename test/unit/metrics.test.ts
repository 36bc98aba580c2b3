import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { channelName, nodeName, packetNumber, tableName } from "../../replicator/change/names.ts";
import type { AppliedEvent } from "../../replicator/link/link.ts";
import { startHttp } from "../../replicator/observability/http.ts";
import { LagBook } from "../../replicator/observability/lag.ts";
import { createLinkObserver } from "../../replicator/observability/link-observer.ts";
import { createLogger } from "../../replicator/observability/log.ts";
import { METRICS, metricsPage } from "../../replicator/observability/metric-definitions.ts";
import { createMetrics, declareLabels, setNodeStatus } from "../../replicator/observability/metrics.ts";
import type { Topology, TopologyTable } from "../../replicator/topology/topology.ts";

const NOW = 1_700_000_000_000;
const hub = nodeName("hub");
const store = nodeName("store-1");
const orders = tableName("shop.orders");

function topology(children: readonly string[] = ["store-1"]): Topology {
  const table = { name: orders, policy: "newest_wins" } as TopologyTable;
  const nodes = ["hub", ...children].map((name) => ({ name: nodeName(name), type: "sqlite" as const, path: `/${name}` }));
  const links = children.map((child) => ({
    parent: hub,
    child: nodeName(child),
    params: {},
    channels: [{ name: channelName("sales"), direction: "both" as const }],
  }));
  const reconcile = [{ name: "nightly", cron: "0 3 * * *", timezone: "UTC" }];
  return {
    name: "t",
    nodes,
    links,
    groups: [],
    log: { keepMs: 604_800_000, maxSizeBytes: 10_737_418_240 },
    reconcile,
    channels: [{ name: channelName("sales"), priority: 1, tables: [table] }],
  } as unknown as Topology;
}

function applied(over: Partial<AppliedEvent["receipt"]> = {}): AppliedEvent {
  const receipt = {
    number: packetNumber(7),
    digest: "aa",
    duplicate: false,
    applied: { insert: 3, update: 2, delete: 1, truncate: 0, refresh: 0 },
    conflicts: [{ table: orders, kind: "update_update", resolution: "parent", count: 2 }],
    parked: 0,
    wanted: [],
    ...over,
  };
  const sizes = { rawBytes: 1000, compressedBytes: 100, applySeconds: 0.02, partChanges: 5000, lagSeconds: 0.03 };
  return { source: store, target: hub, parent: hub, child: store, kind: "changes", receipt, ...sizes };
}

async function watched() {
  const lag = new LagBook();
  const lines: string[] = [];
  const log = await createLogger({ level: "debug", format: "json", stream: { write: (line: string) => lines.push(line) } });
  const metrics = createMetrics({ version: "1.2.3", lag, now: () => NOW });
  declareLabels(metrics, topology());
  const observer = createLinkObserver({ metrics, lag, log, now: () => NOW });
  return { lag, lines, metrics, observer, page: () => metrics.registry.metrics() };
}

describe("metrics", () => {
  test("docs/metrics.md is current", async () => {
    const file = new URL("../../docs/metrics.md", import.meta.url);
    if (process.env.UPDATE_DOCS === "1") await writeFile(file, metricsPage());
    expect(await readFile(file, "utf8")).toBe(metricsPage());
  });

  test("have the prefix, base units and a help text", () => {
    for (const { name, type, help } of Object.values(METRICS)) {
      expect(name).toMatch(/^tombolo_[a-z_]+$/);
      expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb|mb)(_|$)/);
      expect(name.endsWith("_total")).toBe(type === "counter");
      expect(help.length).toBeGreaterThan(20);
    }
  });

  test("show what the topology makes possible at 0 from the start, and no lag before it is known", async () => {
    const page = await (await watched()).page();
    expect(page).toContain('tombolo_changes_applied_total{source="hub",target="store-1",op="insert"} 0');
    expect(page).toContain('tombolo_batches_total{source="store-1",target="hub",outcome="applied"} 0');
    expect(page).toContain('tombolo_conflicts_total{child="store-1",table="shop.orders",kind="update_delete",resolution="child"} 0');
    expect(page).toContain('tombolo_node_status{node="hub",status="down"} 0');
    expect(page).toContain('tombolo_batch_apply_duration_seconds_count{source="hub",target="store-1"} 0');
    expect(page).toMatch(/tombolo_build_info\{version="1.2.3",node_version="[^"]+"\} 1/);
    expect(page).not.toMatch(/^tombolo_replication_lag_seconds\{/m);
  });

  test("count an applied packet once, however often it is answered", async () => {
    const { observer, page } = await watched();
    observer.applied(applied());
    observer.applied(applied({ duplicate: true }));
    const text = await page();
    expect(text).toContain('tombolo_changes_applied_total{source="store-1",target="hub",op="insert"} 3');
    expect(text).toContain('tombolo_conflicts_total{child="store-1",table="shop.orders",kind="update_update",resolution="parent"} 2');
    expect(text).toContain('tombolo_batches_total{source="store-1",target="hub",outcome="duplicate"} 1');
    expect(text).toContain('tombolo_batch_bytes_sum{state="compressed"} 100');
    expect(text).toContain('tombolo_replication_lag_seconds{source="store-1",target="hub"} 0.03');
    expect(text).toContain(`tombolo_last_applied_timestamp_seconds{source="store-1",target="hub"} ${NOW / 1000}`);
  });

  test("lag is by one clock: what the source's is ahead or behind is taken into account", async () => {
    const { observer, lag } = await watched();
    const seconds = (lagSeconds: number): number | undefined => {
      observer.applied({ ...applied(), lagSeconds });
      return lag.of("store-1", "hub").seconds(NOW);
    };
    lag.measured("store-1", -5_000);
    expect(seconds(5.25)).toBe(0.25);
    expect(seconds(3)).toBe(0);
    lag.measured("store-1", 2_000);
    expect(seconds(0.5)).toBe(2.5);
    // its change seems to be made in the future: no more than that is known
    expect(seconds(0)).toBe(0);
  });

  test("a failing link counts its errors by code and its lag grows in both directions", async () => {
    const { observer, lag, page } = await watched();
    observer.caughtUp({ source: hub, target: store, at: NOW - 60_000 });
    observer.failed({
      parent: hub,
      child: store,
      error: new TomboloError("x", { code: "NO_ROUTE", kind: "connect" }),
      retryInMs: 1000,
      attempt: 1,
    });
    expect(await page()).toContain('tombolo_errors_total{component="link",code="NO_ROUTE"} 1');
    expect(lag.of("hub", "store-1").seconds(NOW)).toBe(60);
  });

  test("a node has one status at a time", async () => {
    const { metrics, page } = await watched();
    setNodeStatus(metrics, "store-1", "live");
    setNodeStatus(metrics, "store-1", "down");
    const ones = (await page()).split("\n").filter((line) => /^tombolo_node_status\{node="store-1".* 1$/.test(line));
    expect(ones).toEqual(['tombolo_node_status{node="store-1",status="down"} 1']);
  });

  test("nodes that left the topology leave the page", async () => {
    const { metrics, page } = await watched();
    declareLabels(metrics, topology(["store-2"]));
    const text = await page();
    expect(text).not.toContain('"store-1"');
    expect(text).toContain('tombolo_conflicts_open{node="store-2"} 0');
    expect(text).toContain("tombolo_build_info{");
  });

  test("targets of notifications are no nodes, and stay until the topology no longer has them", async () => {
    const { metrics, page } = await watched();
    const notified = { ...topology(), notifications: { targets: [{ name: "ops" }] } } as unknown as Topology;
    declareLabels(metrics, notified);
    metrics.notifications.inc({ target: "ops", outcome: "sent" }, 3);
    declareLabels(metrics, notified);
    expect(await page()).toContain('tombolo_notifications_total{target="ops",outcome="sent"} 3');
    declareLabels(metrics, topology());
    expect(await page()).not.toContain('"ops"');
  });

  test("a schedule tells how often it is due at most, and leaves with the topology that has it", async () => {
    const { metrics, page } = await watched();
    expect(await page()).toContain('tombolo_reconcile_interval_seconds{name="nightly"} 86400');
    declareLabels(metrics, { ...topology(), reconcile: [] });
    expect(await page()).not.toContain('"nightly"');
  });
});

describe("log lines", () => {
  test("never hold the text of a foreign error, which may quote rows, nor secrets", async () => {
    const { observer, lines } = await watched();
    const canary = "canary-4711";
    for (const error of [new Error(`invalid input syntax: "${canary}"`), new SyntaxError(canary), canary, new RangeError(canary)]) {
      observer.failed({ parent: hub, child: store, error, retryInMs: null, attempt: 1 });
    }
    const log = await createLogger({ level: "info", format: "json", stream: { write: (line: string) => lines.push(line) } });
    log.info({ url: canary, node: { password: canary } }, "opened");
    expect(lines.length).toBe(5);
    expect(lines.join("")).not.toContain(canary);
  });
});

describe("HTTP", () => {
  test("serves metrics, health, readiness with reasons and status; nothing else, and only for reading", async () => {
    const { metrics } = await watched();
    let reasons: string[] = ["waiting for the lease"];
    const server = await startHttp({
      host: "127.0.0.1",
      port: 0,
      metrics,
      notReady: () => reasons,
      status: async () => ({ topology: "t" }),
      onError: () => {},
    });
    try {
      const get = (path: string, method = "GET") => fetch(`${server.url}${path}`, { method });
      const page = await get("/metrics");
      expect(page.headers.get("content-type")).toMatch(/^text\/plain; version=0.0.4/);
      expect(await page.text()).toContain("tombolo_build_info");
      expect((await get("/healthz")).status).toBe(200);
      const waiting = await get("/readyz");
      expect([waiting.status, await waiting.json()]).toEqual([503, { ready: false, reasons }]);
      reasons = [];
      expect((await get("/readyz")).status).toBe(200);
      expect(await (await get("/status")).json()).toEqual({ topology: "t" });
      expect((await get("/../etc/passwd")).status).toBe(404);
      expect((await get("/metrics", "POST")).status).toBe(405);
      const { port } = new URL(server.url);
      const again = startHttp({
        host: "127.0.0.1",
        port: Number(port),
        metrics,
        notReady: () => [],
        status: async () => ({}),
        onError: () => {},
      });
      await expect(again).rejects.toMatchObject({ code: "HTTP_LISTEN", kind: "usage" });
    } finally {
      await server.close();
    }
  });

  test("a status that fails is an answer 500 and is reported, not a crash", async () => {
    const { metrics } = await watched();
    const errors: unknown[] = [];
    const failing = async () => {
      throw new Error("boom");
    };
    const server = await startHttp({
      host: "127.0.0.1",
      port: 0,
      metrics,
      notReady: () => [],
      status: failing,
      onError: (error) => errors.push(error),
    });
    try {
      expect((await fetch(`${server.url}/status`)).status).toBe(500);
      expect(errors).toHaveLength(1);
    } finally {
      await server.close();
    }
  });
});
