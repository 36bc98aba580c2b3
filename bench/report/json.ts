import { spread } from "../measure/stats.ts";
import { judge } from "./goals.ts";
import type { Machine } from "./machine.ts";
import type { Recorder } from "./recorder.ts";

/** Of a run. */
export interface Facts {
  readonly machine: Machine;
  readonly rounds: number;
  /** Of the source's server. */
  readonly settings: { readonly [name: string]: string };
}

/** `bench/results/latest.json`. Units are in the figures' names; values are in the order of the rounds. */
export function toJson(recorder: Recorder, facts: Facts): string {
  const results = recorder.series.map(({ route, workload, figure, system, values }) => {
    const all = [...values.values()].map(rounded);
    const { median, min, max } = spread(all);
    return { route, workload, figure, system, median: rounded(median), min, max, values: all };
  });
  const goals = judge(recorder).map(({ goal, workload, value, met }) => ({ ...goal, workload, value: rounded(value), met }));
  const { machine, rounds, settings } = facts;
  return `{
"format": 1,
"machine": ${JSON.stringify(machine)},
"rounds": ${rounds},
"settings": ${JSON.stringify(settings)},
"absent": ${JSON.stringify(Object.fromEntries(recorder.absent))},
"results": ${oneLineEach(results)},
"goals": ${oneLineEach(goals)}
}
`;
}

/** So that a change of one figure is a change of one line. */
const oneLineEach = (items: readonly object[]): string => `[\n${items.map((item) => JSON.stringify(item)).join(",\n")}\n]`;

const rounded = (value: number): number => Number(value.toPrecision(5));
