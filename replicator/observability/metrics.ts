import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { RECONCILE_OUTCOMES } from "../node/reconcile-desk.ts";
import { longestInterval } from "../topology/cron.ts";
import type { Topology, TopologyLink, TopologyTable } from "../topology/topology.ts";
import type { LagBook } from "./lag.ts";
import { METRICS, type MetricDefinition, NODE_STATUSES, type NodeStatusName } from "./metric-definitions.ts";

type Instrument<D> = D extends { type: "counter" } ? Counter : D extends { type: "gauge" } ? Gauge : Histogram;
/** One instrument per definition, under the same key, and the registry that holds them. */
export type Metrics = { readonly [K in keyof typeof METRICS]: Instrument<(typeof METRICS)[K]> } & { readonly registry: Registry };

/** @param options.lag is asked at every scrape; `now` in ms since 1970. */
export function createMetrics(options: { version: string; lag: LagBook; now: () => number }): Metrics {
  const registry = new Registry();
  const metrics = { registry } as Record<string, unknown>;
  for (const [key, definition] of Object.entries<MetricDefinition>(METRICS)) metrics[key] = instrument(definition, registry, options);
  // the delay of the event loop is sampled by a timer: at its default of 10 ms that would be most of what an idle process does
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const typed = metrics as Metrics;
  typed.buildInfo.set({ version: options.version, node_version: process.versions.node }, 1);
  return typed;
}

function instrument(definition: MetricDefinition, registry: Registry, options: { lag: LagBook; now: () => number }) {
  const { name, help, type } = definition;
  const common = { name, help, labelNames: [...definition.labels], registers: [registry] };
  if (type === "counter") return new Counter(common);
  if (type === "histogram") return new Histogram({ ...common, buckets: [...(definition.buckets ?? [])] });
  if (name !== METRICS.lag.name) return new Gauge(common);
  return new Gauge({
    ...common,
    collect() {
      this.reset();
      for (const { source, target, seconds } of options.lag.values(options.now())) this.set({ source, target }, seconds);
    },
  });
}

const CAPTURED_OPS = ["insert", "update", "delete", "truncate"];
const OPS = ["insert", "update", "delete", "truncate", "refresh"];
/** Constraint conflicts (unique, foreign_key, check) appear when they happen: at 0 for every table they would be most of the page. */
const KINDS = ["update_update", "update_delete", "delete_update", "insert_insert"];

/** Puts the label sets that the topology makes possible at 0, and takes away those of nodes that it no longer has. */
export function declareLabels(metrics: Metrics, topology: Topology): void {
  const nodes = new Set<string>(topology.nodes.map((node) => node.name));
  forget(metrics, new Set([...nodes, ...topology.groups.map(({ name }) => name)]), {
    targets: new Set(topology.notifications?.targets.map(({ name }) => name)),
    schedules: new Set(topology.reconcile.map(({ name }) => name)),
  });
  for (const outcome of ["applied", "refused"]) metrics.reloads.inc({ outcome }, 0);
  metrics.logKeep.set(topology.log.keepMs / 1000);
  metrics.logMaxSize.set(topology.log.maxSizeBytes);
  for (const node of nodes) {
    for (const status of NODE_STATUSES) metrics.nodeStatus.inc({ node, status }, 0);
    for (const outcome of ["made", "spared"]) metrics.logReads.inc({ node, outcome }, 0);
    for (const op of CAPTURED_OPS) metrics.changesCaptured.inc({ node, op }, 0);
    for (const direction of ["pull", "push"]) metrics.fullSyncRows.inc({ node, direction }, 0);
    declareFullSyncs(metrics, node);
    for (const gauge of [metrics.conflictsOpen, metrics.parked, metrics.refused, metrics.drifted, metrics.logRows, metrics.logBytes])
      gauge.inc({ node }, 0);
  }
  for (const state of ["raw", "compressed"]) metrics.batchBytes.zero({ state });
  const ofGroups = topology.groups.map(({ name: child, parent, channels }) => ({ parent, child, channels }));
  for (const { source, target } of [...directions(topology), ...ofGroups.flatMap(directionsOf)]) {
    metrics.lastApplied.inc({ source, target }, 0);
    metrics.lagChanges.inc({ source, target }, 0);
    metrics.partChanges.inc({ source, target }, 0);
    metrics.delay.zero({ source, target });
    metrics.applyDuration.zero({ source, target });
    for (const op of OPS) metrics.changesApplied.inc({ source, target, op }, 0);
    for (const outcome of ["applied", "duplicate"]) metrics.batches.inc({ source, target, outcome }, 0);
  }
  declareConflicts(metrics, topology);
  declareReconciles(metrics, topology);
  for (const { name: group } of topology.groups) declareFullSyncs(metrics, group);
  for (const { name: group } of topology.groups) metrics.edges.inc({ group }, 0);
  for (const { name: target } of topology.notifications?.targets ?? []) {
    metrics.notificationsWaiting.inc({ target }, 0);
    for (const outcome of ["sent", "failed", "held_back", "dropped"]) metrics.notifications.inc({ target, outcome }, 0);
  }
}

function declareFullSyncs(metrics: Metrics, node: string): void {
  metrics.fullSyncsRunning.inc({ node }, 0);
  metrics.fullSyncRowsDiffering.inc({ node }, 0);
  for (const outcome of ["done", "failed", "cancelled", "interrupted"]) metrics.fullSyncRuns.inc({ node, outcome }, 0);
}

function declareReconciles(metrics: Metrics, { reconcile, links, channels }: Topology): void {
  for (const schedule of reconcile) {
    const { name } = schedule;
    metrics.reconcileLastSuccess.inc({ name }, 0);
    const interval = longestInterval(schedule);
    if (interval !== null) metrics.reconcileInterval.set({ name }, interval / 1000);
    for (const outcome of RECONCILE_OUTCOMES) metrics.reconcileRuns.inc({ name, outcome }, 0);
  }
  for (const { child, channels: used } of reconcile.length === 0 ? [] : links) {
    const tables = channels.filter(({ name }) => used.some((use) => use.name === name)).flatMap((channel) => channel.tables);
    for (const { name: table } of tables) {
      for (const metric of [metrics.reconcileCompared, metrics.reconcileRepaired, metrics.reconcileDiffering])
        metric.inc({ child, table }, 0);
    }
  }
}

/** Which way anything travels at all, over all links. */
export function directions(topology: Topology): readonly { readonly source: string; readonly target: string }[] {
  return topology.links.flatMap(directionsOf);
}

const directionsOf = ({
  parent,
  child,
  channels,
}: {
  readonly parent: string;
  readonly child: string;
  readonly channels: TopologyLink["channels"];
}) => [
  ...(channels.some(({ direction }) => direction !== "down") ? [{ source: child, target: parent }] : []),
  ...(channels.some(({ direction }) => direction !== "up") ? [{ source: parent, target: child }] : []),
];

/** The node's status is one of `NODE_STATUSES`; a state that this version does not know counts as unknown. */
export function setNodeStatus(metrics: Metrics, node: string, status: string): void {
  const known: NodeStatusName = NODE_STATUSES.find((name) => name === status) ?? "unknown";
  for (const name of NODE_STATUSES) metrics.nodeStatus.set({ node, status: name }, name === known ? 1 : 0);
}

function declareConflicts(metrics: Metrics, topology: Topology): void {
  const children = [...topology.links, ...topology.groups.map(({ name: child, channels }) => ({ child, channels }))];
  for (const link of children) {
    for (const channel of link.channels) {
      if (channel.direction === "down") continue;
      const tables = topology.channels.find(({ name }) => name === channel.name)?.tables ?? [];
      for (const table of tables) {
        for (const kind of KINDS) {
          for (const resolution of resolutions(table)) {
            metrics.conflicts.inc({ child: link.child, table: table.name, kind, resolution }, 0);
          }
        }
      }
    }
  }
}

function resolutions({ policy, otherwise }: TopologyTable): readonly string[] {
  if (policy === "parent_wins") return ["parent"];
  if (policy === "child_wins") return ["child"];
  if (policy === "manual") return ["open"];
  const open = policy !== "newest_wins" && otherwise === "manual" ? ["open"] : [];
  return policy === "newest_wins" ? ["parent", "child"] : ["parent", "child", "merged", ...open];
}

/** A target is a node, except for notifications: theirs are told of under names of their own. */
const NOTIFYING: readonly string[] = ["notifications", "notificationsWaiting"] satisfies (keyof typeof METRICS)[];

function forget(
  metrics: Metrics,
  nodes: ReadonlySet<string>,
  others: { readonly targets: ReadonlySet<string>; readonly schedules: ReadonlySet<string> },
): void {
  const labelled = Object.keys(METRICS) as (keyof typeof METRICS)[];
  for (const key of labelled) {
    const metric = metrics[key] as unknown as { hashMap: Record<string, { labels: Record<string, string> }>; remove(labels: object): void };
    const targets = NOTIFYING.includes(key) ? others.targets : nodes;
    for (const { labels } of Object.values(metric.hashMap)) {
      const named = [labels.node, labels.source, labels.child, labels.group].filter((name) => name !== undefined);
      const isGone =
        named.some((name) => !nodes.has(name)) ||
        (labels.target !== undefined && !targets.has(labels.target)) ||
        (labels.name !== undefined && !others.schedules.has(labels.name));
      if (isGone) metric.remove(labels);
    }
  }
}
