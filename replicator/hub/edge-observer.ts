import type { NodeName, TableName } from "../change/names.ts";
import type { AppliedEvent, LinkObserver } from "../link/link.ts";
import type { ReconcileOutcome, ReconcileRun } from "../node/reconcile-desk.ts";
import type { LagBook } from "../observability/lag.ts";
import { createLinkObserver } from "../observability/link-observer.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";

export interface EdgeObserverOptions {
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly log: Logger;
  readonly now: () => number;
  readonly parent: NodeName;
  readonly edge: NodeName;
  readonly group: string;
}

/** Rows that the edges of a group were left with, where there are any: the gauge is their sum. */
const differing = new WeakMap<Metrics, Map<string, number>>();

/** By how much the sum changes. */
function left(
  metrics: Metrics,
  place: { readonly group: string; readonly edge: NodeName; readonly table: TableName },
  rows: number,
): number {
  const known = differing.get(metrics) ?? new Map<string, number>();
  differing.set(metrics, known);
  const key = JSON.stringify([place.group, place.edge, place.table]);
  const before = known.get(key) ?? 0;
  if (rows === 0) known.delete(key);
  else known.set(key, rows);
  return rows - before;
}

/** What is handed on and not confirmed: an edge has some packets on their way at once, not more. */
const MOST_HANDED_ON = 1_000;

/**
 * Metrics, lag and log lines of the packets between the hub and one edge. What goes down is handed on, and counts when the edge has said that it has it; to a
 * service that never hears that, because the edge then spoke to another one, it does not count.
 */
export class EdgeObserver {
  readonly #options: EdgeObserverOptions;
  readonly #told: LinkObserver;
  readonly #handedOn = new Map<bigint, AppliedEvent & { readonly at: number }>();

  constructor(options: EdgeObserverOptions) {
    const { edge, group } = options;
    this.#options = options;
    this.#told = createLinkObserver({ ...options, label: (node) => (node === edge ? group : node) });
  }

  /** For the hub's end of the link, as `observer`. */
  get down(): LinkObserver {
    const { parent, edge, now } = this.#options;
    return {
      ...this.#told,
      applied: (event) => {
        const at = now();
        const number: bigint = event.receipt.number;
        // one that got lost is made anew under its number
        this.#handedOn.set(number, { ...event, at });
        for (const oldest of this.#handedOn.keys()) {
          if (this.#handedOn.size <= MOST_HANDED_ON) break;
          this.#handedOn.delete(oldest);
        }
        if (event.lagSeconds !== null) this.#lag(parent, edge).pending(at - event.lagSeconds * 1000, at, 0);
      },
    };
  }

  /** As `received`. */
  up(event: AppliedEvent): void {
    this.#told.applied(event);
  }

  /** All that the edge had to bring is here. */
  broughtAll(): void {
    const { parent, edge, now } = this.#options;
    this.#told.caughtUp({ source: edge, target: parent, at: now() });
  }

  /** A full sync has brought so many rows to the edge. */
  copied(rows: number): void {
    const { metrics, group } = this.#options;
    metrics.fullSyncRows.inc({ node: group, direction: "pull" }, rows);
  }

  /** A comparison that a schedule asked for has ended, as the edge tells. `known`: tables that it may tell of. */
  compared(run: Pick<ReconcileRun, "name" | "tables"> & { readonly state: ReconcileOutcome }, known: ReadonlySet<TableName>): void {
    const { metrics, group, edge } = this.#options;
    metrics.reconcileRuns.inc({ name: run.name, outcome: run.state });
    for (const { table, compared, differing, repaired, error } of run.tables) {
      if (!known.has(table)) continue;
      const labels = { child: group, table };
      metrics.reconcileCompared.inc(labels, compared);
      metrics.reconcileRepaired.inc(labels, repaired);
      if (error === null) metrics.reconcileDiffering.inc(labels, left(metrics, { group, edge, table }, Math.max(0, differing - repaired)));
    }
  }

  /** The edge says that it has all packets up to this one. */
  confirmed(number: bigint): void {
    for (const [each, { at, ...event }] of this.#handedOn) {
      if (each > number) continue;
      this.#handedOn.delete(each);
      const waited = (this.#options.now() - at) / 1000;
      this.#told.applied({ ...event, lagSeconds: event.lagSeconds === null ? null : event.lagSeconds + waited });
    }
  }

  #lag(source: NodeName, target: NodeName): ReturnType<LagBook["of"]> {
    const { lag, edge, group } = this.#options;
    const label = (node: NodeName): string => (node === edge ? group : node);
    return lag.of(source, target, { source: label(source), target: label(target) });
  }
}
