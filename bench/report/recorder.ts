import { type Spread, spread } from "../measure/stats.ts";
import type { Figures } from "../workloads/workload.ts";

/** What was measured at one place of the plan by one system: a value per round. */
export interface Series {
  readonly route: string;
  readonly workload: string;
  readonly figure: string;
  readonly system: string;
  /** Round to value. */
  readonly values: ReadonlyMap<number, number>;
}

/** Keeps every figure of every round. */
export class Recorder {
  readonly #series: (Series & { readonly values: Map<number, number> })[] = [];
  readonly #failures: string[] = [];
  readonly #absent = new Map<string, string>();

  add(at: { readonly route: string; readonly workload: string; readonly system: string; readonly round: number }, figures: Figures): void {
    for (const [figure, value] of Object.entries(figures)) {
      let series = this.find(at.route, at.workload, figure, at.system) as (Series & { values: Map<number, number> }) | undefined;
      if (series === undefined) {
        series = { route: at.route, workload: at.workload, figure, system: at.system, values: new Map() };
        this.#series.push(series);
      }
      series.values.set(at.round, value);
    }
  }

  fail(message: string): void {
    this.#failures.push(message);
  }

  /** A system that is not installed here, and what is missing. */
  leaveOut(system: string, why: string): void {
    this.#absent.set(system, why);
  }

  get absent(): ReadonlyMap<string, string> {
    return this.#absent;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  get series(): readonly Series[] {
    return this.#series;
  }

  find(route: string, workload: string, figure: string, system: string): Series | undefined {
    return this.#series.find(
      (series) => series.route === route && series.workload === workload && series.figure === figure && series.system === system,
    );
  }
}

/** Of `series` to `base`, round by round, so that what slowed a whole round down cancels; null where they share no round. */
export function ratio(series: Series, base: Series): Spread | null {
  const ratios: number[] = [];
  for (const [round, value] of series.values) {
    const other = base.values.get(round);
    if (other !== undefined && other !== 0) ratios.push(value / other);
  }
  return ratios.length === 0 ? null : spread(ratios);
}
