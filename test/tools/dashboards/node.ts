import { type Dashboard, LINK, NODE } from "./dashboard.ts";
import { gauge, series, stat, table, timeline } from "./panel.ts";

/** Both directions of the chosen links. */
const both = (metric: string, function_ = (selector: string): string => selector): string =>
  `${function_(`${metric}{target=~"$link"}`)} or ${function_(`${metric}{source=~"$link"}`)}`;

export const node: Dashboard = {
  name: "node",
  title: "Tombolo node and link",
  description: "One node or some, and the links to them.",
  variables: [NODE, LINK],
  sections: [
    {
      title: null,
      panels: [
        stat(
          {
            title: "Lag",
            description: "The slowest direction of the chosen links. 0 when everything has been applied.",
            ...{ unit: "s", width: 4, expr: `max(${both("tombolo_replication_lag_seconds")}) or on() vector(0)` },
          },
          { warn: 10, bad: 60 },
        ),
        stat(
          {
            title: "Changes waiting",
            description: "Not acknowledged by their target yet. They are kept until `log.keep` and `log.max_size`.",
            ...{ unit: "short", width: 4, expr: `sum(${both("tombolo_replication_lag_changes")})` },
          },
          {},
        ),
        stat(
          {
            title: "Parked changes",
            description: "Set aside at the chosen nodes: `tombolo parked list --node NODE`.",
            ...{ unit: "short", width: 4, expr: 'sum(tombolo_parked_changes{node=~"$node"})' },
          },
          { warn: 1 },
        ),
        stat(
          {
            title: "Refused at the parent",
            description: "Changes of the chosen nodes that their parent has set aside: `tombolo parked list --node PARENT`.",
            ...{ unit: "short", width: 4, expr: 'sum(tombolo_refused_changes{node=~"$node"})' },
          },
          { warn: 1 },
        ),
        stat(
          {
            title: "Drifted tables",
            description:
              "No longer as they were installed, or to be compared: changes may have passed unseen. `tombolo plan` shows what repairs the capture.",
            ...{ unit: "short", width: 4, expr: 'sum(tombolo_drifted_tables{node=~"$node"})' },
          },
          { bad: 1 },
        ),
        stat(
          {
            title: "Clock offset",
            description:
              "The largest distance between a node's clock and this replicator's. newest_wins corrects for it up to a limit; see that NTP runs.",
            ...{ unit: "s", width: 4, expr: 'max(abs(tombolo_clock_offset_seconds{node=~"$node"})) or on() vector(0)' },
          },
          { warn: 0.5, bad: 1 },
        ),
      ],
    },
    {
      title: "State",
      panels: [
        timeline(
          {
            title: "Live",
            description: "Green while the node is live, red while it is anything else.",
            ...{ unit: "short", width: 12, expr: 'max by (node) (tombolo_node_status{status="live", node=~"$node"})', legend: "{{node}}" },
          },
          { good: "live", bad: "not live" },
        ),
        table(
          {
            title: "Status",
            description:
              "down: start the database. paused: `tombolo nodes resume`. must_resync: `tombolo nodes resync`. The others pass by themselves.",
            ...{ unit: "short", width: 6, expr: 'tombolo_node_status{node=~"$node"} == 1' },
          },
          { node: "node", status: "status" },
        ),
        table(
          {
            title: "Last packet applied",
            description:
              "When each direction last applied a packet; nobody need have written since. Before 1971: not since this process began.",
            ...{ unit: "dateTimeFromNow", width: 6, expr: `(${both("tombolo_last_applied_timestamp_seconds")}) * 1000` },
          },
          { source: "source", target: "target", Value: "last packet" },
        ),
      ],
    },
    {
      title: "Links",
      panels: [
        series({
          title: "Lag by direction",
          description: "Grows by a second a second while a link stands still: its errors say why.",
          ...{ unit: "s", width: 12, expr: both("tombolo_replication_lag_seconds"), legend: "{{source}} → {{target}}" },
        }),
        series({
          title: "Changes waiting by direction",
          description: "In the log of the source, not acknowledged by the target.",
          ...{ unit: "short", width: 12, expr: both("tombolo_replication_lag_changes"), legend: "{{source}} → {{target}}" },
        }),
        series({
          title: "Changes applied by direction",
          description: "Row changes that took effect at the target, per second.",
          ...{ unit: "cps", width: 8, legend: "{{source}} → {{target}}" },
          expr: `sum by (source, target) (${both("tombolo_changes_applied_total", (each) => `rate(${each}[$__rate_interval])`)})`,
        }),
        series({
          title: "Changes applied by operation",
          description: "Row changes that took effect, per second. refresh: rows that a child was given anew.",
          ...{ unit: "cps", width: 8, legend: "{{op}}" },
          expr: `sum by (op) (${both("tombolo_changes_applied_total", (each) => `rate(${each}[$__rate_interval])`)})`,
        }),
        series({
          title: "Packets by outcome",
          description:
            "duplicate: had been applied before and was answered with its receipt, as after a lost answer. Many of them are a line that breaks.",
          ...{ unit: "pps", width: 8, legend: "{{target}} {{outcome}}" },
          expr: `sum by (target, outcome) (${both("tombolo_batches_total", (each) => `rate(${each}[$__rate_interval])`)})`,
        }),
        series({
          title: "Time to apply a packet, 95th percentile",
          description:
            "At the target, commit included. Where it is long: an index that is missing for the key, a lock, a slow disk, triggers of the application.",
          ...{ unit: "s", width: 8, legend: "{{target}}" },
          expr: `histogram_quantile(0.95, sum by (le, target) (${both("tombolo_batch_apply_duration_seconds_bucket", (each) => `rate(${each}[$__rate_interval])`)}))`,
        }),
        series({
          title: "Changes given to the target at once",
          description: "From batch.max_rows down by halves where applying takes too long: a low line is a slow target.",
          ...{ unit: "short", width: 8, expr: both("tombolo_batch_part_changes"), legend: "{{source}} → {{target}}" },
        }),
        series({
          title: "Bytes in packets",
          description:
            "Before (raw) and after (compressed) compression, all links together. Where the line is the limit, see `batch.compression`.",
          ...{ unit: "Bps", width: 8, expr: "sum by (state) (rate(tombolo_batch_bytes_sum[$__rate_interval]))", legend: "{{state}}" },
        }),
      ],
    },
    {
      title: "Log",
      panels: [
        series({
          title: "Changes captured by operation",
          description: "What applications write at the chosen nodes, per second.",
          ...{ unit: "cps", width: 8, legend: "{{node}} {{op}}" },
          expr: 'sum by (node, op) (rate(tombolo_changes_captured_total{node=~"$node"}[$__rate_interval]))',
        }),
        series({
          title: "Size of the change log",
          description:
            "With its indexes. Falls when everything has been read; grows while a reader is away, until log.max_size gives that reader up.",
          ...{ unit: "bytes", width: 8, expr: 'tombolo_log_bytes{node=~"$node"}', legend: "{{node}}" },
        }),
        gauge(
          {
            title: "Log, of log.max_size",
            description: "Beyond 1 the child that is furthest behind is given up: bring it back, or raise log.max_size.",
            ...{ unit: "percentunit", width: 8, legend: "{{node}}" },
            expr: 'tombolo_log_bytes{node=~"$node"} / scalar(max(tombolo_log_max_bytes))',
          },
          { warn: 0.5, bad: 0.8 },
        ),
        series({
          title: "Rows in the change log",
          description: "An estimate in Postgres. Rows that all have read go little by little; `tombolo purge` removes them at once.",
          ...{ unit: "short", width: 8, expr: 'tombolo_log_rows{node=~"$node"}', legend: "{{node}}" },
        }),
        series(
          {
            title: "Log kept for a slot",
            description:
              "Write-ahead log that the server keeps for a node with `capture: slot`; 0 where no node has one. It fills the server's disk where nobody reads it: see that the replicator runs.",
            ...{ unit: "bytes", width: 8, legend: "{{node}} keeps" },
            expr: 'tombolo_slot_retained_wal_bytes{node=~"$node"} or on() vector(0)',
          },
          "lines",
          [{ expr: 'tombolo_slot_safe_wal_bytes{node=~"$node"} or on() vector(0)', legend: "{{node}} may write" }],
        ),
        series({
          title: "Catalogue kept for a slot",
          description:
            "Transactions since the oldest whose dead rows in the system catalogue vacuum keeps for a node's slot. Millions make every query slower: see that the replicator runs.",
          ...{ unit: "short", width: 8, expr: 'tombolo_slot_catalog_xmin_age{node=~"$node"} or on() vector(0)', legend: "{{node}}" },
        }),
        series(
          {
            title: "Clock offset by node",
            description: "The node's clock minus the replicator's. newest_wins corrects for it; see that NTP runs where it moves.",
            ...{ unit: "s", width: 8, expr: 'tombolo_clock_offset_seconds{node=~"$node"}', legend: "{{node}}" },
          },
          "signed",
        ),
      ],
    },
  ],
};
