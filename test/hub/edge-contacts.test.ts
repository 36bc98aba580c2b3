import { afterEach, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { newSecret } from "../../replicator/hub/secret.ts";
import { edgeContacts } from "../../replicator/lifecycle/edge-contacts.ts";
import { LagBook } from "../../replicator/observability/lag.ts";
import { createLogger } from "../../replicator/observability/log.ts";
import { createMetrics } from "../../replicator/observability/metrics.ts";
import { until } from "../helpers/command.ts";
import { handTimers } from "../helpers/hand-timers.ts";
import { postgresNode, sqliteNode, type TestNode } from "../helpers/nodes.ts";

let hub: TestNode | undefined;
afterEach(() => hub?.close());

test.each(["postgres", "sqlite"] as const)(
  "the edges of a %s hub are counted by group, and the one that has been silent for longest tells since when",
  async (engine) => {
    const database = await (engine === "postgres" ? postgresNode : sqliteNode)("hub", "create table item (id text primary key not null)");
    hub = database;
    await database.node.installation.apply([]);
    const { tokens } = database.node;
    const issue = async (name: string, group: string, kind: "token" | "code" = "token") => {
      const { handle, hash } = newSecret("token");
      const identity = { kind, name, role: "node" as const, node: nodeName(name), group, params: {}, lifetimeMs: null, expiresInMs: null };
      return tokens.issue(identity, { handle, hash, by: "test" });
    };
    const table = engine === "postgres" ? "tombolo.token" : "tombolo_token";
    const used = (id: bigint, at: string) => database.write(`update ${table} set last_used_at = '${at}' where id = ${id}`);
    await used((await issue("till-1", "tills")).id, "2026-01-02T00:00:00.000Z");
    // it has rotated its token: the newer one counts
    await used((await issue("till-2", "tills")).id, "2025-01-01T00:00:00.000Z");
    await used((await issue("till-2", "tills")).id, "2026-01-03T00:00:00.000Z");
    const revoked = await issue("till-3", "tills");
    await used(revoked.id, "2024-01-01T00:00:00.000Z");
    await tokens.revoke(revoked.id, "test");
    await issue("till-4", "tills", "code");

    const timers = handTimers(Date.now());
    const metrics = createMetrics({ version: "0", lag: new LagBook(), now: timers.now });
    const log = await createLogger({ level: "silent", format: "json" });
    const stop = new AbortController();
    const groups = () => ["tills", "vans"];
    const open = { names: () => [nodeName("hub")], node: () => database.node };
    const running = edgeContacts({ ...open, metrics, log, timers, groups }).run(stop.signal);
    const line = async (name: string) => (await metrics.registry.metrics()).split("\n").filter((each) => each.startsWith(name));
    await until("they are counted", async () => (await line("tombolo_edges{")).length === 2);
    expect(await line("tombolo_edges{")).toEqual(['tombolo_edges{group="tills"} 2', 'tombolo_edges{group="vans"} 0']);
    const since = Date.parse("2026-01-02T00:00:00Z") / 1000;
    expect(await line("tombolo_edge_oldest_contact_timestamp_seconds{")).toEqual([
      `tombolo_edge_oldest_contact_timestamp_seconds{group="tills"} ${since}`,
    ]);
    stop.abort();
    await running;
  },
);
