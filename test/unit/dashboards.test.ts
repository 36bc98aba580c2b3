import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { METRICS, type MetricDefinition } from "../../replicator/observability/metric-definitions.ts";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const read = (relative: string): string => readFileSync(path(relative), "utf8");
const dashboards = readdirSync(path("dashboards/grafana")).filter((name) => name.endsWith(".json"));
const panelsOf = (name: string): Panel[] => (JSON.parse(read(`dashboards/grafana/${name}`)) as { panels: Panel[] }).panels;

const definitions = Object.values<MetricDefinition>(METRICS);
const exposed = new Map(
  definitions.flatMap((metric) => {
    const suffixes = metric.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    return suffixes.map((suffix) => [metric.name + suffix, [...metric.labels, ...(suffix === "_bucket" ? ["le"] : [])]] as const);
  }),
);

/** What an expression asks for that the replicator does not expose: metrics, and labels in selectors and in `by (…)`. */
function unknownIn(expr: string): string[] {
  const metrics = expr.match(/\btombolo_\w+/g) ?? [];
  const labels = [...expr.matchAll(/[{,]\s*(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label ?? "");
  const grouped = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, list]) => (list ?? "").split(",").map((label) => label.trim()));
  const known = new Set(metrics.flatMap((metric) => exposed.get(metric) ?? []));
  return [
    ...metrics.filter((metric) => !exposed.has(metric)),
    ...[...labels, ...grouped].filter((label) => label !== "job" && !known.has(label)),
  ];
}

test("an expression with an unknown metric or label is noticed", () => {
  expect(unknownIn("sum by (source) (rate(tombolo_changes_applied_total[5m]))")).toEqual([]);
  expect(unknownIn("tombolo_replication_lag")).toEqual(["tombolo_replication_lag"]);
  expect(unknownIn("tombolo_replication_delay_seconds")).toEqual(["tombolo_replication_delay_seconds"]);
  expect(unknownIn('tombolo_node_status{state="live"}')).toEqual(["state"]);
  expect(unknownIn("sum by (child) (tombolo_parked_changes)")).toEqual(["child"]);
});

test.each(dashboards)("%s: every expression asks for metrics and labels that exist", (name) => {
  const targets = panelsOf(name).flatMap(({ targets: list }) => list ?? []);
  expect(targets.length).toBeGreaterThan(0);
  for (const { expr } of targets) expect(unknownIn(expr), expr).toEqual([]);
});

test.each(dashboards)("%s: every panel has an id of its own, a current type, a description and a unit", (name) => {
  const panels = panelsOf(name);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const panel of panels) {
    expect(["row", "stat", "timeseries", "table", "state-timeline"], panel.title).toContain(panel.type);
    if (panel.type === "row") continue;
    expect(panel.description, panel.title).toBeTruthy();
    expect(panel.fieldConfig?.defaults.unit, panel.title).toBeTruthy();
    const references = (panel.targets ?? []).map(({ refId }) => refId);
    expect(new Set(references).size, panel.title).toBe(references.length);
  }
});

test("the overview shows lag, throughput, conflicts, parked changes, node status, log size and errors", () => {
  const asked = panelsOf("overview.json")
    .flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr))
    .join("\n");
  for (const metric of [
    METRICS.lag,
    METRICS.changesApplied,
    METRICS.conflicts,
    METRICS.parked,
    METRICS.nodeStatus,
    METRICS.logBytes,
    METRICS.errors,
  ]) {
    expect(asked).toContain(metric.name);
  }
});

test("alert rules: every expression asks for metrics and labels that exist, every alert says what it means", () => {
  const { groups } = parse(read("dashboards/prometheus/alerts.yml")) as {
    groups: { rules: { alert: string; expr: string; labels: { severity: string }; annotations: { summary: string } }[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(0);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, expr, labels, annotations } of rules) {
    expect(unknownIn(expr), alert).toEqual([]);
    expect(["warning", "critical"], alert).toContain(labels.severity);
    expect(annotations.summary, alert).toBeTruthy();
  }
});
