import { spread } from "../measure/stats.ts";
import type { Recorder, Series } from "./recorder.ts";
import { ratio } from "./recorder.ts";

/** What a figure of a system shall reach: in itself, or as a ratio to another system in the same run. */
export interface Goal {
  readonly route: string;
  /** Null: whichever workload of the route is farthest from it. */
  readonly workload: string | null;
  readonly figure: string;
  readonly system: string;
  readonly to?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

const MIB = 1024 * 1024;
const BULK = ["inserts", "updates"];
const BOTH = ["tombolo", "tombolo-slot"];
const ROUTES = ["pg-pg", "pg-sqlite", "sqlite-pg"];

/** Every combination of `parts` with `rest`; what was not measured is not judged. */
function each(parts: { readonly [part in "route" | "workload" | "figure" | "system"]: readonly string[] }, rest: Partial<Goal>): Goal[] {
  return parts.route.flatMap((route) =>
    parts.workload.flatMap((workload) =>
      parts.figure.flatMap((figure) => parts.system.map((system) => ({ route, workload, figure, system, ...rest }))),
    ),
  );
}

const capture = (system: string, goals: { readonly tps: number; readonly bulk: number }): Goal[] => {
  const at = { route: "writers", workload: "capture", system, to: "bare" };
  return [
    ...["writers_tps", "unflushed_tps"].map((figure) => ({ ...at, figure, atLeast: goals.tps })),
    { ...at, figure: "bulk_update_seconds", atMost: goals.bulk },
  ];
};

const lag = (system: string, p50: number): Goal[] =>
  ["pg-pg", "pg-sqlite"].flatMap((route) => [
    { route, workload: "lag-500", figure: "lag_p50_ms", system, atMost: p50 },
    { route, workload: "lag-500", figure: "lag_p99_ms", system, atMost: 40 },
  ]);

const rates = { workload: BULK, figure: ["rows_per_second"], system: BOTH };

export const GOALS: readonly Goal[] = [
  ...each({ route: ["pg-pg"], ...rates }, { to: "native", atLeast: 1 }),
  ...each({ route: ["pg-sqlite"], ...rates }, { atLeast: 150_000 }),
  ...each({ route: ["sqlite-pg"], ...rates }, { atLeast: 100_000 }),
  ...each(
    { route: ["pg-sqlite", "sqlite-pg"], workload: BULK, figure: ["rows_per_second"], system: ["tombolo-http"] },
    { to: "tombolo", atLeast: 0.6 },
  ),
  ...each({ route: ROUTES, workload: ["singles"], figure: ["drained_ms"], system: BOTH }, { atMost: 1000 }),
  { route: "pg-sqlite", workload: "exchange", figure: "exchange_p50_ms", system: "tombolo-http", atMost: 30 },
  ...lag("tombolo", 8),
  ...lag("tombolo-slot", 5),
  ...capture("tombolo", { tps: 0.85, bulk: 2.2 }),
  ...capture("tombolo-slot", { tps: 0.97, bulk: 1.1 }),
  ...each({ route: ["pg-pg"], ...rates }, { to: "bucardo", atLeast: 8 }),
  ...each({ route: ["writers"], workload: ["capture"], figure: ["writers_tps"], system: BOTH }, { to: "bucardo", atLeast: 1.6 }),
  ...[...ROUTES, "fan-out"].flatMap((route) =>
    BOTH.map((system) => ({ route, workload: null, figure: "peak_rss_bytes", system, atMost: 250 * MIB })),
  ),
  ...each({ route: ["pg-pg"], workload: ["updates", "singles"], figure: ["wire_bytes_per_change"], system: BOTH }, { atMost: 25 }),
  { route: "pg-pg", workload: "full-sync", figure: "rows_per_second", system: "tombolo", to: "copy", atLeast: 0.7 },
  { route: "pg-pg", workload: "full-sync", figure: "verified_seconds", system: "tombolo", atMost: 15 },
  { route: "pg-sqlite", workload: "full-sync", figure: "rows_per_second", system: "tombolo", atLeast: 200_000 },
  { route: "pg-pg", workload: "reconcile", figure: "compared_per_second", system: "tombolo", atLeast: 500_000 },
  { route: "pg-sqlite", workload: "reconcile", figure: "compared_per_second", system: "tombolo", atLeast: 250_000 },
  ...each(
    {
      route: ["pg-pg", "pg-sqlite"],
      workload: ["beside"],
      figure: ["reconcile_p99_to_alone", "full_sync_p99_to_alone", "paced_reconcile_p99_to_alone", "paced_full_sync_p99_to_alone"],
      system: ["tombolo"],
    },
    { atMost: 1.1 },
  ),
  ...each({ route: ["pg-pg", "pg-sqlite"], workload: ["beside"], figure: ["false_reports"], system: ["tombolo"] }, { atMost: 0 }),
  // once, and now and then a look at how many there are
  { route: "fan-out", workload: "fan-out", figure: "log_reads_per_change", system: "tombolo", atMost: 1.1 },
  { route: "fan-out", workload: "fan-out", figure: "extra_node_to_first", system: "tombolo", atMost: 1 },
  ...[...ROUTES.map((route) => [route, "idle"] as const), ["fan-out", "fan-out"] as const].map(([route, workload]) => ({
    ...{ route, workload, figure: "idle_cpu_percent", system: "tombolo", atMost: 1 },
  })),
];

export interface Judgement {
  readonly goal: Goal;
  /** That the value is of. */
  readonly workload: string;
  /** The median. */
  readonly value: number;
  readonly met: boolean;
}

/** Of the goals whose figures were measured. */
export function judge(recorder: Recorder): readonly Judgement[] {
  return GOALS.flatMap((goal) => {
    const measured = recorder.series.flatMap((series) => {
      const value = isOf(series, goal) ? medianOf(recorder, series, goal.to) : null;
      return value === null ? [] : [{ workload: series.workload, value }];
    });
    // the farthest from the goal
    const [worst] = measured.sort((a, b) => (goal.atLeast === undefined ? b.value - a.value : a.value - b.value));
    if (worst === undefined) return [];
    const { workload, value } = worst;
    const met = (goal.atLeast === undefined || value >= goal.atLeast) && (goal.atMost === undefined || value <= goal.atMost);
    return [{ goal, workload, value, met }];
  });
}

const isOf = (series: Series, { route, workload, figure, system }: Goal): boolean =>
  series.route === route && series.figure === figure && series.system === system && (workload === null || series.workload === workload);

/** In itself, or to another system; null where that one was not measured beside it. */
function medianOf(recorder: Recorder, series: Series, to: string | undefined): number | null {
  if (to === undefined) return spread([...series.values.values()]).median;
  const base = recorder.find(series.route, series.workload, series.figure, to);
  return base === undefined ? null : (ratio(series, base)?.median ?? null);
}
