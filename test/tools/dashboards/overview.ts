import type { Dashboard } from "./dashboard.ts";
import { series, stat, table, timeline } from "./panel.ts";

export const overview: Dashboard = {
  name: "overview",
  title: "Tombolo overview",
  description: "Whether all is well, and where it is not.",
  variables: [],
  sections: [
    {
      title: null,
      panels: [
        stat(
          {
            title: "Largest lag",
            description:
              "The slowest direction: from commit at the source to commit at the target. 0 when everything has been applied. Where it grows, see which direction below, and its errors.",
            ...{ unit: "s", width: 4, expr: "max(tombolo_replication_lag_seconds) or on() vector(0)" },
          },
          { warn: 10, bad: 60 },
        ),
        stat({
          title: "Changes applied",
          description: "All directions together, per second. 0 is well where nobody writes.",
          ...{ unit: "cps", width: 4, expr: "sum(rate(tombolo_changes_applied_total[$__rate_interval]))" },
        }),
        stat(
          {
            title: "Nodes not live",
            description: "Nodes that are down, joining, paused, behind or must be filled anew. `tombolo status` says which and why.",
            ...{ unit: "short", width: 4, expr: 'count(max by (node) (tombolo_node_status{status="live"}) == 0) or on() vector(0)' },
          },
          { bad: 1 },
        ),
        stat(
          {
            title: "Conflicts, last hour",
            description:
              "Conflicts decided in the last hour. Each is a row of tombolo.conflict_history at the parent; many of one table ask for another policy.",
            ...{ unit: "short", width: 3, expr: "sum(increase(tombolo_conflicts_total[1h])) or on() vector(0)" },
          },
          {},
        ),
        stat(
          {
            title: "Open conflicts",
            description: "Conflicts that wait for a person: `tombolo conflicts list --open`.",
            ...{ unit: "short", width: 3, expr: "sum(tombolo_conflicts_open)" },
          },
          { warn: 1 },
        ),
        stat(
          {
            title: "Parked changes",
            description: "Changes that a node could not apply and has set aside: `tombolo parked list` says why, and what is in the way.",
            ...{ unit: "short", width: 3, expr: "sum(tombolo_parked_changes)" },
          },
          { warn: 1 },
        ),
        stat(
          {
            title: "Errors, last hour",
            description: "Failures of links, nodes and the replicator itself in the last hour; docs/errors.md explains the codes below.",
            ...{ unit: "short", width: 3, expr: "sum(increase(tombolo_errors_total[1h])) or on() vector(0)" },
          },
          { warn: 1, bad: 100 },
        ),
      ],
    },
    {
      title: "Lag",
      panels: [
        series({
          title: "Lag by direction",
          description:
            "0 when everything has been applied; grows while a link stands still; no line before the first packet. A line that grows by a second a second is a link that stands: look at its errors.",
          ...{ unit: "s", width: 12, expr: "tombolo_replication_lag_seconds", legend: "{{source}} → {{target}}" },
        }),
        series({
          title: "Changes waiting",
          description:
            "Changes in the log of the source that the target has not acknowledged. Rises while a target is away, and falls by itself when it is back.",
          ...{ unit: "short", width: 6, expr: "tombolo_replication_lag_changes", legend: "{{source}} → {{target}}" },
        }),
        series({
          title: "Delay of a packet, 95th percentile",
          description:
            "From the commit of a packet's oldest change to its commit at the target. Where it is high all the time, see the time to apply a packet.",
          ...{ unit: "s", width: 6, legend: "{{source}} → {{target}}" },
          expr: "histogram_quantile(0.95, sum by (le, source, target) (rate(tombolo_replication_delay_seconds_bucket[$__rate_interval])))",
        }),
      ],
    },
    {
      title: "Throughput",
      panels: [
        series({
          title: "Changes applied by direction",
          description: "Row changes that took effect at the target, per second. A flat line beside a lag that grows is a link that stands.",
          ...{ unit: "cps", width: 12, legend: "{{source}} → {{target}}" },
          expr: "sum by (source, target) (rate(tombolo_changes_applied_total[$__rate_interval]))",
        }),
        series(
          {
            title: "Changes captured by node",
            description:
              "What applications write, per second. Nothing where somebody writes means that the capture has a hole: see the drifted tables.",
            ...{
              unit: "cps",
              width: 12,
              expr: "sum by (node) (rate(tombolo_changes_captured_total[$__rate_interval]))",
              legend: "{{node}}",
            },
          },
          "lines",
        ),
      ],
    },
    {
      title: "State",
      panels: [
        timeline(
          {
            title: "Live",
            description: "Green while the node is live, red while it is anything else; the table beside it says what.",
            ...{ unit: "short", width: 12, expr: 'max by (node) (tombolo_node_status{status="live"})', legend: "{{node}}" },
          },
          { good: "live", bad: "not live" },
        ),
        table(
          {
            title: "Status of each node",
            description:
              "down cannot be reached; joining and snapshot are being filled; lagging is behind; must_resync has to be filled anew (`tombolo nodes resync`).",
            ...{ unit: "short", width: 6, expr: "tombolo_node_status == 1" },
          },
          { node: "node", status: "status" },
        ),
        series(
          {
            title: "Errors",
            description: "By component and code; docs/errors.md explains each code and says what to do.",
            ...{ unit: "short", width: 6, legend: "{{component}} {{code}}" },
            expr: "sum by (component, code) (increase(tombolo_errors_total[$__rate_interval])) > 0 or on() vector(0)",
          },
          "bars",
        ),
        table(
          {
            title: "Alerts",
            description:
              "What dashboards/prometheus/alerts.yml says now, if Prometheus has these rules; docs/alerts.md says what to do about each.",
            ...{ unit: "short", width: 12, expr: 'sum by (alertname, alertstate) (ALERTS{alertname=~"Tombolo.*"}) or on() vector(0)' },
          },
          { alertname: "alert", alertstate: "state", Value: "how many" },
        ),
        series(
          {
            title: "Notifications",
            description:
              "What targets of the topology's `notifications` were told, and what they did not take: `tombolo notify` says what waits and why.",
            ...{ unit: "short", width: 12, legend: "{{target}} {{outcome}}" },
            expr: "sum by (target, outcome) (increase(tombolo_notifications_total[$__rate_interval])) or on() vector(0)",
          },
          "bars",
        ),
      ],
    },
  ],
};
