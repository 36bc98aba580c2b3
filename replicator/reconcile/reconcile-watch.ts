import { linkName } from "../lifecycle/tree.ts";
import type { ReconcileOutcome } from "../node/reconcile-desk.ts";
import { describeError } from "../observability/describe-error.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { TopologyReconcile } from "../topology/topology.ts";
import type { LinkResult } from "./reconcile-links.ts";

type Named = Pick<TopologyReconcile, "name">;

/** Most telling first. */
const WORST_FIRST: readonly ReconcileOutcome[] = ["failed", "stopped", "drift", "repaired", "clean"];

/** Tells metrics and log what scheduled reconciles find. Keys of rows are in the records, never here. */
export class ReconcileWatch {
  readonly #metrics: Metrics;
  readonly #log: Logger;

  constructor(options: { readonly metrics: Metrics; readonly log: Logger }) {
    this.#metrics = options.metrics;
    this.#log = options.log;
  }

  linkDone({ name: schedule }: Named, { link, report, error }: LinkResult): void {
    const { child } = link;
    if (report === null) {
      this.#metrics.errors.inc({ component: "reconcile", code: describeError(error).code });
      this.#log.warn({ schedule, link: linkName(link), err: error }, "the link could not be compared");
      return;
    }
    for (const { name: table, compared, differing, repaired, unsettled, parked, error: failure } of report.tables) {
      this.#metrics.reconcileCompared.inc({ child, table }, compared);
      this.#metrics.reconcileRepaired.inc({ child, table }, repaired);
      this.#metrics.reconcileDiffering.set({ child, table }, differing - repaired);
      const found = { schedule, link: linkName(link), table, compared, differing, repaired, under_way: unsettled, parked };
      if (failure !== null) {
        this.#metrics.errors.inc({ component: "reconcile", code: failure.code });
        this.#log.warn({ ...found, code: failure.code, hint: failure.hint }, failure.message);
      } else if (differing > repaired) this.#log.warn({ ...found, code: "DRIFT_FOUND" }, "rows differ");
      else if (differing > 0) this.#log.warn({ ...found, code: "DRIFT_REPAIRED" }, "rows differed, and were repaired");
      else this.#log.debug(found, "compared");
    }
  }

  done({ name }: Named, run: { readonly results: readonly LinkResult[]; readonly startedAt: number; readonly endedAt: number }): void {
    const outcomes = run.results.map(({ report }) => report?.outcome ?? "failed");
    const outcome = WORST_FIRST.find((each) => outcomes.includes(each)) ?? "clean";
    this.#metrics.reconcileRuns.inc({ name, outcome });
    if (outcome === "clean" || outcome === "repaired") this.#metrics.reconcileLastSuccess.set({ name }, run.endedAt / 1000);
    const seconds = Math.round((run.endedAt - run.startedAt) / 100) / 10;
    this.#log.info({ schedule: name, outcome, links: run.results.length, seconds }, "reconciled");
  }
}
