import { type Spread, spread } from "../measure/stats.ts";
import { FIGURES, type Figure } from "./figures.ts";
import { judge } from "./goals.ts";
import { type Recorder, ratio, type Series } from "./recorder.ts";

/** Whom the others are compared with: the first of these that was measured at the same place. */
const BASES = ["bare", "native", "copy-loop", "copy"];

/** Titles of routes and workloads, by name. */
export type Titles = ReadonlyMap<string, string>;

/**
 * The whole result for a person: per route and workload, each system's median and spread, and its ratio to the yardstick; then what that
 * cost, medians side by side.
 */
export function printTable(recorder: Recorder, titles: Titles): readonly string[] {
  const lines: string[] = [];
  for (const route of unique(recorder.series.map((series) => series.route))) {
    const here = recorder.series.filter((series) => series.route === route);
    lines.push("", titles.get(route) ?? route, ...aligned(results(here, titles)));
    const spent = costs(here, titles);
    if (spent.length > 1) lines.push("", ...aligned(spent));
  }
  return lines;
}

function results(here: readonly Series[], titles: Titles): string[][] {
  const rows: string[][] = [];
  for (const workload of unique(here.map((series) => series.workload))) {
    for (const figure of FIGURES.filter(({ column }) => column === undefined)) {
      const measured = here.filter((series) => series.workload === workload && series.figure === figure.name);
      rows.push(...figureRows(titles.get(workload) ?? workload, figure, measured));
    }
  }
  return [["workload", "figure", "system", "median", "min – max", "ratio", "min – max"], ...onceOnly(rows)];
}

function figureRows(workload: string, figure: Figure, measured: readonly Series[]): string[][] {
  const base = BASES.map((name) => measured.find((series) => series.system === name)).find((series) => series !== undefined);
  return measured.map((series) => {
    const values = spread([...series.values.values()]);
    const compared = base === undefined || base === series ? null : ratio(series, base);
    return [
      workload,
      figure.title,
      series.system,
      figure.print(values.median),
      range(values, figure.print),
      compared === null || base === undefined ? "" : `${compared.median.toFixed(2)} × ${base.system}`,
      compared === null ? "" : range(compared, (value) => value.toFixed(2)),
    ];
  });
}

/** A row per workload and system, a column per figure that anybody has. */
function costs(here: readonly Series[], titles: Titles): string[][] {
  const figures = FIGURES.filter(({ name, column }) => column !== undefined && here.some(({ figure }) => figure === name));
  const rows: string[][] = [];
  for (const workload of unique(here.map((series) => series.workload))) {
    for (const system of unique(here.filter((series) => series.workload === workload).map((series) => series.system))) {
      const cells = figures.map(({ name, print }) => {
        const found = here.find((series) => series.workload === workload && series.system === system && series.figure === name);
        return found === undefined ? "" : print(spread([...found.values.values()]).median);
      });
      if (cells.some((cell) => cell !== "")) rows.push([titles.get(workload) ?? workload, system, ...cells]);
    }
  }
  return [["workload", "system", ...figures.map(({ column }) => column!)], ...onceOnly(rows)];
}

/** What a row begins with is not said again where the row above begins with it too. */
function onceOnly(rows: readonly string[][]): string[][] {
  return rows.map((row, index) => {
    const above = rows[index - 1];
    const same = row.findIndex((cell, column) => above === undefined || cell !== above[column]);
    return row.map((cell, column) => (column < Math.min(same === -1 ? row.length : same, 2) ? "" : cell));
  });
}

/** One line per goal. */
export function printGoals(recorder: Recorder, titles: Titles): readonly string[] {
  const rows = judge(recorder).map(({ goal, workload, value, met }) => {
    const figure = FIGURES.find(({ name }) => name === goal.figure);
    const print = goal.to === undefined && figure !== undefined ? figure.print : (ratio: number) => `${ratio.toFixed(2)} × ${goal.to}`;
    const wanted = goal.atLeast === undefined ? `at most ${print(goal.atMost ?? 0)}` : `at least ${print(goal.atLeast)}`;
    return [
      met ? "reached" : "MISSED",
      titles.get(goal.route) ?? goal.route,
      titles.get(workload) ?? workload,
      figure?.title ?? goal.figure,
      goal.system,
      print(value),
      wanted,
    ];
  });
  return rows.length === 0 ? [] : ["", "Goals", ...aligned([["", "route", "workload", "figure", "system", "median", "goal"], ...rows])];
}

const range = ({ min, max }: Spread, print: (value: number) => string): string => (min === max ? "" : `${print(min)} – ${print(max)}`);

const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)];

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd());
}
