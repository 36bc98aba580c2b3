import { spread } from "../measure/stats.ts";
import type { Recorder } from "./recorder.ts";
import { ratio } from "./recorder.ts";

/** What a figure of a system shall reach: in itself, or as a ratio to another system in the same run. */
export interface Goal {
  readonly route: string;
  readonly workload: string;
  readonly figure: string;
  readonly system: string;
  readonly to?: string;
  readonly atLeast?: number;
  readonly below?: number;
}

const MIB = 1024 * 1024;
const bulk = ["inserts", "updates"];
const toSqlite = { route: "pg-sqlite", figure: "rows_per_second", system: "tombolo", atLeast: 60_000 };

export const GOALS: readonly Goal[] = [
  ...bulk.flatMap((workload) =>
    ["tombolo", "tombolo-one-way"].map((system) => ({
      route: "pg-pg",
      workload,
      figure: "rows_per_second",
      system,
      to: "native",
      atLeast: 0.5,
    })),
  ),
  ...bulk.map((workload) => ({ ...toSqlite, workload })),
  ...["writers_tps", "unflushed_tps"].map((figure) => ({
    route: "writers",
    workload: "capture",
    figure,
    system: "tombolo",
    to: "bare",
    atLeast: 0.8,
  })),
  ...["pg-pg", "pg-sqlite", "sqlite-pg"].flatMap((route) => [
    { route, workload: "lag-200", figure: "lag_p50_ms", system: "tombolo", below: 40 },
    { route, workload: "backlog", figure: "peak_rss_bytes", system: "tombolo", below: 250 * MIB },
    { route, workload: "idle", figure: "idle_cpu_percent", system: "tombolo", below: 1 },
  ]),
];

export interface Judgement {
  readonly goal: Goal;
  /** The median. */
  readonly value: number;
  readonly met: boolean;
}

/** Of the goals whose figures were measured. */
export function judge(recorder: Recorder): readonly Judgement[] {
  return GOALS.flatMap((goal) => {
    const series = recorder.find(goal.route, goal.workload, goal.figure, goal.system);
    const base = goal.to === undefined ? undefined : recorder.find(goal.route, goal.workload, goal.figure, goal.to);
    if (series === undefined || (goal.to !== undefined && base === undefined)) return [];
    const value = base === undefined ? spread([...series.values.values()]).median : ratio(series, base)?.median;
    if (value === undefined) return [];
    const met = (goal.atLeast === undefined || value >= goal.atLeast) && (goal.below === undefined || value < goal.below);
    return [{ goal, value, met }];
  });
}
