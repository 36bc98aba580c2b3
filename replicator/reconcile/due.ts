import { Cron } from "croner";
import type { TopologyReconcile } from "../topology/topology.ts";

const cronOf = ({ cron, timezone }: TopologyReconcile): Cron => new Cron(cron, { paused: true, timezone });

/** When the schedule comes due next after a moment; milliseconds since 1970, null for never. A time that the clocks skip in spring comes due when they have. */
export function nextDue(schedule: TopologyReconcile, afterMs: number): number | null {
  return cronOf(schedule).nextRun(new Date(afterMs))?.getTime() ?? null;
}

/** When it last was due at or before a moment; null for never. */
export function lastDue(schedule: TopologyReconcile, nowMs: number): number | null {
  const cron = cronOf(schedule);
  // what is due at this very moment counts
  const [last] = cron.previousRuns(1, new Date(nowMs + 1));
  return last?.getTime() ?? null;
}
