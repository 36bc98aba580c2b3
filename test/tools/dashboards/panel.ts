/** Panels of Grafana, said briefly: what differs from panel to panel, and nothing else. */
export interface Panel {
  readonly type: "stat" | "timeseries" | "table" | "state-timeline" | "bargauge";
  readonly title: string;
  /** What it shows, and what to do where it is not as it should be. */
  readonly description: string;
  readonly unit: string;
  /** Of 24. */
  readonly width: number;
  readonly height: number;
  readonly queries: readonly Query[];
  readonly look: object;
  readonly transformations?: readonly object[];
}

interface Query {
  readonly expr: string;
  readonly legend?: string;
}

type About = Pick<Panel, "title" | "description" | "unit" | "width"> & {
  readonly height?: number;
  readonly expr: string;
  readonly legend?: string;
};

const DATASOURCE = { type: "prometheus", uid: "${datasource}" };

interface Steps {
  /** From which value on it is yellow, and red. */
  readonly warn?: number;
  readonly bad?: number;
}

const thresholds = ({ warn, bad }: Steps, calm: string) => ({
  mode: "absolute",
  steps: [
    { color: calm, value: null },
    ...(warn === undefined ? [] : [{ color: "yellow", value: warn }]),
    ...(bad === undefined ? [] : [{ color: "red", value: bad }]),
  ],
});

/** One number. Without `warn` and `bad` it is blue: no value of it is bad. */
export function stat({ expr, legend, ...about }: About, steps: Steps = {}): Panel {
  const calm = steps.warn === undefined && steps.bad === undefined ? "blue" : "green";
  return {
    ...about,
    type: "stat",
    height: about.height ?? 4,
    queries: [legend === undefined ? { expr } : { expr, legend }],
    look: {
      fieldConfig: { color: { mode: "thresholds" }, thresholds: thresholds(steps, calm) },
      options: {
        reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
        ...{ colorMode: "value", graphMode: "area", justifyMode: "auto", textMode: "auto", orientation: "auto" },
      },
    },
  };
}

const LEGEND = { displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"], showLegend: true };

/** Lines over time; `bars` for things that are counted. */
export function series(
  { expr, legend, ...about }: About,
  shape: "lines" | "bars" | "signed" = "lines",
  more: readonly Query[] = [],
): Panel {
  const bars = { drawStyle: "bars", lineWidth: 0, fillOpacity: 80, stacking: { mode: "normal", group: "A" } };
  const lines = { drawStyle: "line", lineWidth: 1, fillOpacity: 10, showPoints: "never", spanNulls: false };
  return {
    ...about,
    type: "timeseries",
    height: about.height ?? 8,
    queries: [legend === undefined ? { expr } : { expr, legend }, ...more],
    look: {
      fieldConfig: {
        color: { mode: "palette-classic" },
        custom: shape === "bars" ? bars : lines,
        ...(shape === "signed" ? {} : { min: 0 }),
      },
      options: { legend: LEGEND, tooltip: { mode: "multi", sort: "desc" } },
    },
  };
}

/** What is now, a line each; `columns` in their order, with their heads. */
export function table(about: Omit<About, "legend">, columns: { readonly [label: string]: string }, steps: Steps = {}): Panel {
  const { expr, ...rest } = about;
  const shown = Object.keys(columns);
  const hidden = ["Time", "__name__", "instance", "job", "Value"].filter((name) => !shown.includes(name));
  return {
    ...rest,
    type: "table",
    height: about.height ?? 8,
    queries: [{ expr }],
    look: {
      fieldConfig: {
        color: { mode: "thresholds" },
        thresholds: thresholds(steps, "text"),
        custom: { align: "auto", cellOptions: { type: "color-text" } },
      },
      options: { showHeader: true, cellHeight: "sm" },
    },
    transformations: [
      {
        id: "organize",
        options: {
          excludeByName: Object.fromEntries(hidden.map((name) => [name, true])),
          indexByName: Object.fromEntries(shown.map((name, at) => [name, at])),
          renameByName: columns,
        },
      },
    ],
  };
}

/** Green while it is 1, red while it is 0. */
export function timeline({ expr, legend, ...about }: About, words: { readonly good: string; readonly bad: string }): Panel {
  return {
    ...about,
    type: "state-timeline",
    height: about.height ?? 8,
    queries: [legend === undefined ? { expr } : { expr, legend }],
    look: {
      fieldConfig: {
        color: { mode: "thresholds" },
        thresholds: thresholds({}, "red"),
        mappings: [
          {
            type: "value",
            options: { 0: { text: words.bad, color: "red", index: 0 }, 1: { text: words.good, color: "green", index: 1 } },
          },
        ],
        custom: { fillOpacity: 80, lineWidth: 0 },
      },
      options: {
        ...{ showValue: "never", rowHeight: 0.8, mergeValues: true },
        legend: { displayMode: "list", placement: "bottom", showLegend: false },
        tooltip: { mode: "single" },
      },
    },
  };
}

/** How full something is, a bar each. */
export function gauge({ expr, legend, ...about }: About, steps: Steps): Panel {
  return {
    ...about,
    type: "bargauge",
    height: about.height ?? 8,
    queries: [legend === undefined ? { expr } : { expr, legend }],
    look: {
      fieldConfig: { color: { mode: "thresholds" }, thresholds: thresholds(steps, "green"), min: 0, max: 1 },
      options: {
        reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
        ...{ orientation: "horizontal", displayMode: "basic", valueMode: "color", showUnfilled: true },
      },
    },
  };
}

/** As Grafana wants it. */
export function panelJson(panel: Panel, place: { readonly id: number; readonly x: number; readonly y: number }): object {
  const { type, title, description, unit, width, height, queries, transformations } = panel;
  const { fieldConfig, options } = panel.look as { fieldConfig: object; options: object };
  const instant = type === "table" || type === "bargauge";
  return {
    ...{ id: place.id, type, title, description, datasource: DATASOURCE },
    gridPos: { x: place.x, y: place.y, w: width, h: height },
    fieldConfig: { defaults: { unit, ...fieldConfig }, overrides: [] },
    options,
    targets: queries.map(({ expr, legend }, at) => ({
      ...{ refId: String.fromCharCode(65 + at), datasource: DATASOURCE, expr },
      ...(legend === undefined ? {} : { legendFormat: legend }),
      ...{ instant, range: !instant },
      ...(type === "table" ? { format: "table" } : {}),
    })),
    ...(transformations === undefined ? {} : { transformations }),
  };
}
