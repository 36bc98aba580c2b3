import { sleep } from "../../replicator/link/sleep.ts";
import { DELETE_GUARD } from "../../replicator/reconcile/delete-guard.ts";
import { type LinkReport, type ReconcileOptions, reconcileLink } from "../../replicator/reconcile/reconcile-link.ts";
import type { Pair } from "./pair.ts";

/** Reconciles a pair at rest, carrying repairs over itself. */
export function reconciled(pair: Pick<Pair, "link">, options: Partial<ReconcileOptions> = {}): Promise<LinkReport> {
  return reconcileLink(pair.link.ends, {
    name: "manual",
    repair: "report",
    tables: null,
    guard: DELETE_GUARD,
    carry: async () => void (await pair.link.settle()),
    signal: new AbortController().signal,
    onProgress: () => {},
    sleep,
    now: Date.now,
    ...options,
  });
}

/** `item: 5 compared, 2 differ, 2 repaired`, and what else there is to say. */
export const summary = ({ outcome, tables }: LinkReport): string[] => [
  outcome,
  ...tables.map(({ name, compared, differing, repaired, unsettled, parked, scope, whole, error }) =>
    [
      `${name}: ${compared} ${scope === "changed" ? "changed " : ""}compared, ${differing} differ, ${repaired} repaired`,
      ...(unsettled > 0 ? [`${unsettled} under way`] : []),
      ...(parked > 0 ? [`${parked} parked`] : []),
      ...(whole === null ? [] : [`all rows: ${whole}`]),
      ...(error === null ? [] : [error.code]),
    ].join(", "),
  ),
];
