import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { METRICS, type MetricDefinition } from "../../replicator/observability/metric-definitions.ts";
import { DASHBOARDS } from "../tools/dashboards/all.ts";
import { dashboardText } from "../tools/dashboards/dashboard.ts";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const read = (relative: string): string => readFileSync(path(relative), "utf8");
const panelsOf = (name: string): Panel[] => (JSON.parse(read(`dashboards/grafana/${name}`)) as { panels: Panel[] }).panels;

const definitions = Object.values<MetricDefinition>(METRICS);
const exposed = new Map(
  definitions.flatMap((metric) => {
    const suffixes = metric.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    return suffixes.map((suffix) => [metric.name + suffix, [...metric.labels, ...(suffix === "_bucket" ? ["le"] : [])]] as const);
  }),
);
/** What Prometheus itself adds. */
const ADDED = ["job", "instance", "alertname", "alertstate"];

/** What an expression asks for that the replicator does not expose: metrics, and labels in selectors and in `by (…)`. */
function unknownIn(expr: string): string[] {
  const metrics = expr.match(/\btombolo_\w+/g) ?? [];
  const labels = [...expr.matchAll(/[{,]\s*(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label ?? "");
  const grouped = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, list]) => (list ?? "").split(",").map((label) => label.trim()));
  const known = new Set(metrics.flatMap((metric) => exposed.get(metric) ?? []));
  return [
    ...metrics.filter((metric) => !exposed.has(metric)),
    ...[...labels, ...grouped].filter((label) => !ADDED.includes(label) && !known.has(label)),
  ];
}

test("an expression with an unknown metric or label is noticed", () => {
  expect(unknownIn("sum by (source) (rate(tombolo_changes_applied_total[5m]))")).toEqual([]);
  expect(unknownIn("tombolo_replication_lag")).toEqual(["tombolo_replication_lag"]);
  expect(unknownIn("tombolo_replication_delay_seconds")).toEqual(["tombolo_replication_delay_seconds"]);
  expect(unknownIn('tombolo_node_status{state="live"}')).toEqual(["state"]);
  expect(unknownIn("sum by (child) (tombolo_parked_changes)")).toEqual(["child"]);
});

test("dashboards/grafana has what test/tools/dashboards makes, and nothing else; `npm run docs` writes it", () => {
  const folder = path("dashboards/grafana");
  if (process.env.UPDATE_DOCS === "1")
    for (const each of DASHBOARDS) writeFileSync(`${folder}/${each.name}.json`, dashboardText(each, DASHBOARDS));
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  expect(files.sort()).toEqual(DASHBOARDS.map(({ name }) => `${name}.json`).sort());
  for (const each of DASHBOARDS) expect(read(`dashboards/grafana/${each.name}.json`), each.name).toBe(dashboardText(each, DASHBOARDS));
});

const files = DASHBOARDS.map(({ name }) => `${name}.json`);

test.each(files)("%s: every expression asks for metrics and labels that exist", (name) => {
  const targets = panelsOf(name).flatMap(({ targets: list }) => list ?? []);
  expect(targets.length).toBeGreaterThan(0);
  for (const { expr } of targets) expect(unknownIn(expr), expr).toEqual([]);
});

test.each(files)(
  "%s: every panel has an id and a place of its own, a current type, a unit, and a description that says what to do",
  (name) => {
    const panels = panelsOf(name);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const panel of panels) {
      expect(["row", "stat", "timeseries", "table", "state-timeline", "bargauge"], panel.title).toContain(panel.type);
      const { x, y, w, h } = panel.gridPos;
      expect(x + w, panel.title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect(taken.has(`${column} ${line}`), `${panel.title} lies over another`).toBe(false);
          taken.add(`${column} ${line}`);
        }
      }
      if (panel.type === "row") continue;
      expect(panel.description?.length, panel.title).toBeGreaterThan(40);
      expect(panel.fieldConfig?.defaults.unit, panel.title).toBeTruthy();
      const references = (panel.targets ?? []).map(({ refId }) => refId);
      expect(new Set(references).size, panel.title).toBe(references.length);
    }
  },
);

test("every metric is on a dashboard or in an alert; those that are not are no news by themselves", () => {
  const asked = [...files.map((name) => read(`dashboards/grafana/${name}`)), read("dashboards/prometheus/alerts.yml")].join("\n");
  const unseen = definitions.map(({ name }) => name).filter((name) => !asked.includes(name));
  expect(unseen).toEqual([]);
});

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly [name: string]: string };
}

const rules = (parse(read("dashboards/prometheus/alerts.yml")) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

test("alert rules: every expression asks for metrics and labels that exist, every alert says what it means and what to do", () => {
  expect(rules.length).toBeGreaterThan(0);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  const runbook = read("docs/alerts.md");
  for (const { alert, expr, labels, annotations } of rules) {
    expect(unknownIn(expr), alert).toEqual([]);
    expect(["warning", "critical"], alert).toContain(labels.severity);
    for (const said of ["summary", "description", "remedy"]) expect(annotations[said], `${alert}: ${said}`).toBeTruthy();
    // the anchor of a heading is its text in lower case
    expect(annotations.runbook).toBe(`docs/alerts.md#${alert.toLowerCase()}`);
    expect(runbook).toContain(`\n## ${alert}\n`);
  }
  const headings = [...runbook.matchAll(/^## (Tombolo\w+)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual(rules.map(({ alert }) => alert));
});

test("every alert is tried: it comes when it should, and not before", () => {
  const { tests } = parse(read("dashboards/prometheus/alerts.test.yml")) as {
    tests: { alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const tried = tests.flatMap(({ alert_rule_test: all = [] }) => all);
  for (const { alert } of rules) {
    const own = tried.filter(({ alertname }) => alertname === alert).map(({ exp_alerts }) => exp_alerts.length > 0);
    expect([...own].sort(), alert).toEqual([false, true]);
  }
});
