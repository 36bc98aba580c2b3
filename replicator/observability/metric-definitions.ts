/** One metric as `/metrics` shows it. `docs/metrics.md` and the dashboards are checked against this list. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const BYTES = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

/**
 * What a node is doing, as `node_status` says it: `down` when it cannot be reached, `unknown` before the first look; otherwise the
 * state that its parent keeps of it. The hub, which has no parent, is `live` when it answers.
 */
export const NODE_STATUSES = ["unknown", "joining", "snapshot", "live", "lagging", "must_resync", "paused", "down"] as const;
export type NodeStatusName = (typeof NODE_STATUSES)[number];

/** Base units, timestamps instead of ages; every label is bounded by the topology. */
export const METRICS = {
  buildInfo: {
    name: "tombolo_build_info",
    type: "gauge",
    help: "Always 1; the labels say which version runs.",
    labels: ["version", "node_version"],
  },
  leader: {
    name: "tombolo_leader",
    type: "gauge",
    help: "1 while this process does what is done once for the whole topology, 0 while another one does.",
    labels: [],
  },
  linksReplicated: {
    name: "tombolo_links_replicated",
    type: "gauge",
    help: "Links that this process replicates: all of them, its share where several processes run the topology, 0 while it waits.",
    labels: [],
  },
  nodeStatus: {
    name: "tombolo_node_status",
    type: "gauge",
    help: "1 for the status that the node has, 0 for the others.",
    labels: ["node", "status"],
  },
  lag: {
    name: "tombolo_replication_lag_seconds",
    type: "gauge",
    help: "How far the target is behind the source. 0 when everything has been applied, absent before the first packet or look, growing while the link stands still.",
    labels: ["source", "target"],
  },
  lagChanges: {
    name: "tombolo_replication_lag_changes",
    type: "gauge",
    help: "Changes in the log of the source that the target has not acknowledged, as of the last look at the source.",
    labels: ["source", "target"],
  },
  delay: {
    name: "tombolo_replication_delay_seconds",
    type: "histogram",
    help: "Per packet: from the commit of its oldest change at the source to its commit at the target, corrected by the clock offsets.",
    labels: ["source", "target"],
    buckets: SECONDS,
  },
  lastApplied: {
    name: "tombolo_last_applied_timestamp_seconds",
    type: "gauge",
    help: "When the last packet was applied, seconds since 1970; 0 before the first.",
    labels: ["source", "target"],
  },
  changesCaptured: {
    name: "tombolo_changes_captured_total",
    type: "counter",
    help: "Changes that applications made at the node, by operation (insert, update, delete, truncate); begins with those that no neighbour had acknowledged when this process opened the node. A change of the key is a delete and an insert; what was applied from other nodes is not counted. Brought up to date every few seconds.",
    labels: ["node", "op"],
  },
  changesApplied: {
    name: "tombolo_changes_applied_total",
    type: "counter",
    help: "Changes that took effect at the target (op: insert, update, delete, truncate, refresh).",
    labels: ["source", "target", "op"],
  },
  batches: {
    name: "tombolo_batches_total",
    type: "counter",
    help: "Packets by outcome: applied, duplicate (had been applied before; answered with its receipt).",
    labels: ["source", "target", "outcome"],
  },
  applyDuration: {
    name: "tombolo_batch_apply_duration_seconds",
    type: "histogram",
    help: "How long the target took for one packet, commit included.",
    labels: ["source", "target"],
    buckets: SECONDS,
  },
  batchBytes: {
    name: "tombolo_batch_bytes",
    type: "histogram",
    help: "Size of a packet's body before (raw) and after (compressed) compression.",
    labels: ["state"],
    buckets: BYTES,
  },
  partChanges: {
    name: "tombolo_batch_part_changes",
    type: "gauge",
    help: "Changes that the target is given at once, at most: from batch.max_rows down by halves where applying them takes too long; 0 before the first packet.",
    labels: ["source", "target"],
  },
  conflicts: {
    name: "tombolo_conflicts_total",
    type: "counter",
    help: "Conflicts decided, by the child whose change it was. Each one is a row of conflict_history in the parent.",
    labels: ["child", "table", "kind", "resolution"],
  },
  conflictsOpen: {
    name: "tombolo_conflicts_open",
    type: "gauge",
    help: "Conflicts that wait for a person, in the conflict history of the node.",
    labels: ["node"],
  },
  parked: {
    name: "tombolo_parked_changes",
    type: "gauge",
    help: "Changes that the node could not apply and has set aside.",
    labels: ["node"],
  },
  refused: {
    name: "tombolo_refused_changes",
    type: "gauge",
    help: "Changes of the node that its parent could not apply and has set aside, as the parent last told it.",
    labels: ["node"],
  },
  drifted: {
    name: "tombolo_drifted_tables",
    type: "gauge",
    help: "Captured tables that are no longer as they were installed, or that must be compared.",
    labels: ["node"],
  },
  logRows: {
    name: "tombolo_log_rows",
    type: "gauge",
    help: "Rows in the change log; an estimate in Postgres.",
    labels: ["node"],
  },
  logBytes: {
    name: "tombolo_log_bytes",
    type: "gauge",
    help: "Size of the change log with its indexes.",
    labels: ["node"],
  },
  fullSyncRows: {
    name: "tombolo_full_sync_rows_total",
    type: "counter",
    help: "Rows that full syncs have copied to the node, by direction, since this process began to look. Brought up to date every few seconds. Edges are told by their group.",
    labels: ["node", "direction"],
  },
  fullSyncRuns: {
    name: "tombolo_full_sync_runs_total",
    type: "counter",
    help: "Full syncs of the node that ended since this process began to look, by outcome: done, failed, cancelled, interrupted (its process is gone). Brought up to date every few seconds. Edges are told by their group.",
    labels: ["node", "outcome"],
  },
  fullSyncRowsDiffering: {
    name: "tombolo_full_sync_rows_differing_total",
    type: "counter",
    help: "Rows that differed when both sides were compared after a full sync of the node, as `--verify` asks for, since this process began to look. Edges are told by their group.",
    labels: ["node"],
  },
  fullSyncsRunning: {
    name: "tombolo_full_syncs_running",
    type: "gauge",
    help: "Full syncs of the node that go on. Edges are told by their group.",
    labels: ["node"],
  },
  logKeep: {
    name: "tombolo_log_keep_seconds",
    type: "gauge",
    help: "How long a change log is kept for a child that is away (`log.keep`).",
    labels: [],
  },
  logMaxSize: {
    name: "tombolo_log_max_bytes",
    type: "gauge",
    help: "How large a change log may become because a child is away (`log.max_size`).",
    labels: [],
  },
  logReads: {
    name: "tombolo_log_reads_total",
    type: "counter",
    help: "Readings of the node's change log, by outcome: made, or spared because another child stood at the same position and the two shared one. Brought up to date every few seconds.",
    labels: ["node", "outcome"],
  },
  slotRetained: {
    name: "tombolo_slot_retained_wal_bytes",
    type: "gauge",
    help: "Write-ahead log that the server keeps for the node's replication slot. Only where `capture` is `slot`.",
    labels: ["node"],
  },
  slotSafe: {
    name: "tombolo_slot_safe_wal_bytes",
    type: "gauge",
    help: "How much more write-ahead log may be written before the server gives the node's replication slot up. Only where `capture` is `slot` and the server has a `max_slot_wal_keep_size`.",
    labels: ["node"],
  },
  slotCatalogueAge: {
    name: "tombolo_slot_catalog_xmin_age",
    type: "gauge",
    help: "Transactions since the oldest whose dead rows in the system catalogue the server keeps for the node's replication slot. Only where `capture` is `slot`.",
    labels: ["node"],
  },
  clockOffset: {
    name: "tombolo_clock_offset_seconds",
    type: "gauge",
    help: "The node's clock minus the clock of this process.",
    labels: ["node"],
  },
  reconcileRuns: {
    name: "tombolo_reconcile_runs_total",
    type: "counter",
    help: "Scheduled reconciles by the name of the schedule and what they came to: clean, repaired, drift (differences are left), stopped (a repair would delete too much), failed. An edge's counts by itself.",
    labels: ["name", "outcome"],
  },
  reconcileCompared: {
    name: "tombolo_reconcile_rows_compared_total",
    type: "counter",
    help: "Rows that scheduled reconciles compared. Edges are told by their group, here and in what follows.",
    labels: ["child", "table"],
  },
  reconcileRepaired: {
    name: "tombolo_reconcile_rows_repaired_total",
    type: "counter",
    help: "Rows that scheduled reconciles found different and made equal.",
    labels: ["child", "table"],
  },
  reconcileDiffering: {
    name: "tombolo_reconcile_rows_differing",
    type: "gauge",
    help: "Rows that the last scheduled reconcile left different; of a group, the sum of what its edges told this process.",
    labels: ["child", "table"],
  },
  reconcileLastSuccess: {
    name: "tombolo_reconcile_last_success_timestamp_seconds",
    type: "gauge",
    help: "When the schedule last came to its end with all rows equal, seconds since 1970; 0 before this process saw it.",
    labels: ["name"],
  },
  reconcileInterval: {
    name: "tombolo_reconcile_interval_seconds",
    type: "gauge",
    help: "The longest time between two dates that the schedule comes due at, as of the start or the last reload.",
    labels: ["name"],
  },
  edges: {
    name: "tombolo_edges",
    type: "gauge",
    help: "Edges of the group that are enrolled: their token is in force. Told by the process that leads, every minute.",
    labels: ["group"],
  },
  edgeOldestContact: {
    name: "tombolo_edge_oldest_contact_timestamp_seconds",
    type: "gauge",
    help: "When the edge of the group that has been silent for longest was last heard of, seconds since 1970, to five minutes; absent where the group has no edge. Told by the process that leads, every minute.",
    labels: ["group"],
  },
  notifications: {
    name: "tombolo_notifications_total",
    type: "counter",
    help: "Notifications by target and what became of them: sent; failed (a try that the target did not take; it is tried again); held_back (told by a summary, as they came faster than the target's limit); dropped (given up after `notifications.keep`).",
    labels: ["target", "outcome"],
  },
  notificationsWaiting: {
    name: "tombolo_notifications_waiting",
    type: "gauge",
    help: "Notifications that the target has not taken yet, because it fails or because of its limit. Told by the process that leads.",
    labels: ["target"],
  },
  hubRequests: {
    name: "tombolo_hub_request_duration_seconds",
    type: "histogram",
    help: "Requests to the hub's HTTP service, by the pattern of the route (`none` for a path that is no route). A request that waits for news lasts as long as it waits.",
    labels: ["route", "method", "status"],
    buckets: SECONDS,
  },
  errors: {
    name: "tombolo_errors_total",
    type: "counter",
    help: "Failures by component (link, node, lease, http, reload, columns) and by the code that docs/errors.md explains.",
    labels: ["component", "code"],
  },
  reloads: {
    name: "tombolo_config_reloads_total",
    type: "counter",
    help: "Reloads of the topology file on SIGHUP, by outcome (applied, refused).",
    labels: ["outcome"],
  },
} as const satisfies Record<string, MetricDefinition>;

/** The text of `docs/metrics.md`. */
export function metricsPage(): string {
  const rows = Object.values<MetricDefinition>(METRICS).map(({ name, type, labels, help }) => {
    const names = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${names || "-"} | ${help} |`;
  });
  return `# Metrics

\`tombolo run\` serves them at \`/metrics\` of the address that the topology gives in \`metrics.listen\`, in the Prometheus text format. Units are
base units (seconds, bytes); moments are timestamps, so that \`time() - x\` is an age that goes on growing when nothing is reported any more.
Label values come from the topology only, and the known ones are there at 0 from the start, so that \`rate()\` sees the first event.
An edge has the name of its group here, whichever process served it: sums over the group's edges, and of their lags the largest. How each of them is, \`GET /v1/nodes\` of the hub
tells. What goes down to an edge counts when the edge has said that it has it; what an edge has written while it is away nobody knows, so that the lag towards the hub is that of
edges in touch.
The usual \`process_*\` and \`nodejs_*\` metrics of the process itself are served too. Every metric is on one of the [dashboards](operations.md#watching) or in an [alert](alerts.md).

This page is generated from \`replicator/observability/metric-definitions.ts\` (\`UPDATE_DOCS=1 npx vitest run test/unit/metrics.test.ts\`).

| metric | type | labels | meaning |
|---|---|---|---|
${rows.join("\n")}

## Lag

\`tombolo_replication_lag_seconds\` answers "how old is the oldest change at the source that the target does not have":

- **0** when the link last found nothing to send;
- **absent** before a link has found out for the first time, so that a new node does not look healthy or late before it was looked at;
- **growing**, second by second, from the moment up to which the target has everything, while a packet is on its way, a database is away,
  the link is paused or anything else keeps it from going on. The log of the source is looked at every few seconds as well: changes that
  wait there count even if the link itself says nothing.

The distribution of the delays that changes really had is the histogram \`tombolo_replication_delay_seconds\`, for example
\`histogram_quantile(0.5, rate(tombolo_replication_delay_seconds_bucket[5m]))\`.
`;
}
