import { type Panel, panelJson } from "./panel.ts";

export interface Section {
  /** Null for the panels on top. */
  readonly title: string | null;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  /** Of the file, and with `tombolo-` in front the uid. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly sections: readonly Section[];
}

/** Chosen at the top; any number, all to begin with. */
export interface Variable {
  readonly name: "node" | "link" | "schedule" | "group";
  readonly label: string;
  /** Of which metric, and which of its labels. */
  readonly metric: string;
  readonly of: string;
}

export const NODE: Variable = { name: "node", label: "Node", metric: "tombolo_node_status", of: "node" };
/** A link is known by its child; the name of a parent stands for all of its links. */
export const LINK: Variable = { name: "link", label: "Link (its child)", metric: "tombolo_replication_lag_changes", of: "target" };
export const SCHEDULE: Variable = { name: "schedule", label: "Schedule", metric: "tombolo_reconcile_runs_total", of: "name" };
export const GROUP: Variable = { name: "group", label: "Group of edges", metric: "tombolo_edges", of: "group" };

/** The text of dashboards/grafana/NAME.json. */
export function dashboardText({ name, title, description, variables, sections }: Dashboard, all: readonly Dashboard[]): string {
  const others = all.filter((each) => each.name !== name);
  const json = {
    ...{ uid: `tombolo-${name}`, title, description, tags: ["tombolo", "replication"], schemaVersion: 39, version: 1 },
    ...{ editable: true, graphTooltip: 1, refresh: "10s", time: { from: "now-1h", to: "now" }, timezone: "browser" },
    links: others.map((other) => ({
      ...{ type: "link", title: other.title, url: `/d/tombolo-${other.name}`, icon: "dashboard", tooltip: other.description },
      ...{ keepTime: true, includeVars: true, targetBlank: false, asDropdown: false, tags: [] },
    })),
    annotations: { list: [] },
    templating: { list: [datasource(), ...variables.map(variableJson)] },
    panels: laidOut(sections),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

const datasource = () => ({
  ...{ name: "datasource", type: "datasource", label: "Data source", query: "prometheus", current: {} },
  ...{ hide: 0, refresh: 1, regex: "", includeAll: false, multi: false },
});

const variableJson = ({ name, label, metric, of }: Variable) => ({
  ...{ name, type: "query", label, datasource: { type: "prometheus", uid: "${datasource}" } },
  definition: `label_values(${metric}, ${of})`,
  query: { query: `label_values(${metric}, ${of})`, refId: name },
  ...{ includeAll: true, allValue: ".*", multi: true, current: { text: ["All"], value: ["$__all"], selected: true } },
  ...{ hide: 0, refresh: 2, regex: "", sort: 1 },
});

/** From left to right, and a new line where one is full. */
function laidOut(sections: readonly Section[]): object[] {
  const panels: object[] = [];
  let [id, x, y, lineHeight] = [1, 0, 0, 0];
  const nextLine = (): void => {
    [x, y, lineHeight] = [0, y + lineHeight, 0];
  };
  for (const { title, panels: own } of sections) {
    nextLine();
    if (title !== null) {
      panels.push({ id: id++, type: "row", title, collapsed: false, gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] });
      y += 1;
    }
    for (const panel of own) {
      if (x + panel.width > 24) nextLine();
      panels.push(panelJson(panel, { id: id++, x, y }));
      x += panel.width;
      lineHeight = Math.max(lineHeight, panel.height);
    }
  }
  return panels;
}
