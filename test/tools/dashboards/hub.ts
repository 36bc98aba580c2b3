import { type Dashboard, GROUP } from "./dashboard.ts";
import { series, stat, table } from "./panel.ts";

const requests = "tombolo_hub_request_duration_seconds_count";

export const hub: Dashboard = {
  name: "hub",
  title: "Tombolo hub",
  description: "The hub's HTTP service, its edges, and the processes that run the topology.",
  variables: [GROUP],
  sections: [
    {
      title: null,
      panels: [
        stat(
          {
            title: "Processes",
            description: "That answer Prometheus. One is enough; a second one takes over when the first is gone.",
            ...{ unit: "short", width: 4, expr: "count(tombolo_build_info)" },
          },
          {},
        ),
        stat(
          {
            title: "Leaders",
            description:
              "Exactly one does what is done once for the whole topology. None for more than some seconds: a session holds the lease in the hub.",
            ...{ unit: "short", width: 4, expr: "sum(tombolo_leader)" },
          },
          { bad: 2 },
        ),
        stat({
          title: "Edges",
          description: "Enrolled, with a token in force: `tombolo tokens list --role node`.",
          ...{ unit: "short", width: 4, expr: 'sum(max by (group) (tombolo_edges{group=~"$group"})) or on() vector(0)' },
        }),
        stat(
          {
            title: "Longest silence of an edge",
            description:
              "Of the edge that was not heard of for longest: `GET /v1/nodes` names it. An edge at rest is heard of every five minutes.",
            ...{ unit: "s", width: 4 },
            expr: '(time() - min(tombolo_edge_oldest_contact_timestamp_seconds{group=~"$group"})) or on() vector(0)',
          },
          { warn: 3_600, bad: 86_400 },
        ),
        stat({
          title: "Requests",
          description: "Per second, all routes. Many edges at once, as after an outage, are slowed down by 429; see hub.max_requests.",
          ...{ unit: "reqps", width: 4, expr: `sum(rate(${requests}[$__rate_interval])) or on() vector(0)` },
        }),
        stat(
          {
            title: "Answers 5xx, last hour",
            description: "The service failed: the log has the error with its code.",
            ...{ unit: "short", width: 4, expr: `sum(increase(${requests}{status=~"5.."}[1h])) or on() vector(0)` },
          },
          { warn: 1 },
        ),
      ],
    },
    {
      title: "Requests",
      panels: [
        series({
          title: "By route",
          description: "Per second. A route that nobody should call so often: see whose token it is in the log.",
          ...{ unit: "reqps", width: 12, legend: "{{method}} {{route}}" },
          expr: `sum by (route, method) (rate(${requests}[$__rate_interval])) or on() vector(0)`,
        }),
        series({
          title: "By status",
          description:
            "401 and 403: a wrong token or role. 412: somebody else decided first. 429: one caller asks too often, see hub.max_requests. 5xx: see the log.",
          ...{
            unit: "reqps",
            width: 12,
            expr: `sum by (status) (rate(${requests}[$__rate_interval])) or on() vector(0)`,
            legend: "{{status}}",
          },
        }),
        series({
          title: "Time to answer, 95th percentile",
          description: "By route. Routes that wait for news (packets, exchange, events) last as long as they wait, which is well.",
          ...{ unit: "s", width: 12, legend: "{{route}}" },
          expr: "histogram_quantile(0.95, sum by (le, route) (rate(tombolo_hub_request_duration_seconds_bucket[$__rate_interval]))) or on() vector(0)",
        }),
        series({
          title: "Readings of the change log",
          description:
            "made: from the database. spared: shared between children that stand at the same position. Many made with many children: they stand apart, as after an outage.",
          ...{
            unit: "ops",
            width: 12,
            expr: "sum by (node, outcome) (rate(tombolo_log_reads_total[$__rate_interval]))",
            legend: "{{node}} {{outcome}}",
          },
        }),
      ],
    },
    {
      title: "Edges",
      panels: [
        table(
          {
            title: "Groups",
            description: "How many edges each group has. `GET /v1/nodes` tells how each of them is.",
            ...{ unit: "short", width: 8, expr: 'max by (group) (tombolo_edges{group=~"$group"}) or on() vector(0)' },
          },
          { group: "group", Value: "edges" },
        ),
        series({
          title: "Longest silence by group",
          description: "Grows by a second a second for an edge that is away: its machine, its line, or a token that has expired.",
          ...{ unit: "s", width: 8, legend: "{{group}}" },
          expr: 'time() - min by (group) (tombolo_edge_oldest_contact_timestamp_seconds{group=~"$group"}) or on() vector(0)',
        }),
        series({
          title: "Changes from and to edges",
          description: "Per second, by group. Nothing at all while edges write: they are away, or their group gets no channel.",
          ...{ unit: "cps", width: 8, legend: "{{source}} → {{target}}" },
          expr: 'sum by (source, target) (rate(tombolo_changes_applied_total{source=~"$group"}[$__rate_interval]) or rate(tombolo_changes_applied_total{target=~"$group"}[$__rate_interval]))',
        }),
      ],
    },
    {
      title: "Processes",
      panels: [
        series({
          title: "Links replicated",
          description: "By process: together they are all links of the topology. 0: it waits to take over.",
          ...{ unit: "short", width: 6, expr: "tombolo_links_replicated", legend: "{{instance}}" },
        }),
        series({
          title: "CPU",
          description: "Cores that each process uses. At 1 it is the limit: run another process, which takes half of the links.",
          ...{ unit: "short", width: 6, expr: 'rate(process_cpu_seconds_total{job="tombolo"}[$__rate_interval])', legend: "{{instance}}" },
        }),
        series({
          title: "Memory",
          description: "Resident. It does not grow with the databases; one that grows for hours is worth a report.",
          ...{ unit: "bytes", width: 6, expr: 'process_resident_memory_bytes{job="tombolo"}', legend: "{{instance}}" },
        }),
        series(
          {
            title: "Reloads of the topology",
            description: "On SIGHUP. refused: the file has problems, which the log names; the one before stays in force.",
            ...{
              unit: "short",
              width: 6,
              expr: "sum by (outcome) (increase(tombolo_config_reloads_total[$__rate_interval]))",
              legend: "{{outcome}}",
            },
          },
          "bars",
        ),
      ],
    },
  ],
};
