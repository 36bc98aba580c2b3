import { linkName } from "../lifecycle/tree.ts";
import { LONGEST_HOLD_MS } from "../node/compare-holds.ts";
import type { ReconcileScope } from "../node/reconcile-desk.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { nextDue } from "./due.ts";

/** After a command that somebody gave: who gives it daily may be late. */
const BY_HAND_MS = 48 * 3_600_000;
/** A run may be a little late, and takes its time. */
const SLACK_MS = 3_600_000;

/**
 * How long the logs of a link are kept for the next comparison of what has changed, after one that ends now: until a schedule that wants it has come due twice.
 * Null where nobody will ask for one. Never longer than `LONGEST_HOLD_MS`.
 */
export function holdMs(
  topology: Pick<Topology, "reconcile">,
  link: Pick<TopologyLink, "parent" | "child">,
  { scope, name, nowMs }: { readonly scope: ReconcileScope; readonly name: string; readonly nowMs: number },
): number | null {
  const times: number[] = [];
  for (const schedule of topology.reconcile) {
    if (schedule.scope !== "changed") continue;
    if (schedule.links !== "all" && !schedule.links.some((each) => linkName(each) === linkName(link))) continue;
    const first = nextDue(schedule, nowMs);
    const second = first === null ? null : nextDue(schedule, first);
    if (second !== null) times.push(second - nowMs + SLACK_MS);
  }
  if (scope === "changed" && (times.length === 0 || name === "manual")) times.push(BY_HAND_MS);
  return times.length === 0 ? null : Math.min(Math.max(...times), LONGEST_HOLD_MS);
}
