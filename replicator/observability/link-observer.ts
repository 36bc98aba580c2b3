import type { NodeName } from "../change/names.ts";
import type { AppliedEvent, LinkObserver } from "../link/link.ts";
import { describeError } from "./describe-error.ts";
import type { LagBook } from "./lag.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/**
 * Turns what the links tell into metrics, lag and log lines. Metrics call a node as `label` does: an edge has the name of its group there, so that
 * labels are bounded by the topology.
 */
export function createLinkObserver(options: {
  metrics: Metrics;
  lag: LagBook;
  log: Logger;
  now: () => number;
  label?: (node: NodeName) => string;
}): LinkObserver {
  const { metrics, lag, log, now, label = (node) => node } = options;
  const lagOf = (source: NodeName, target: NodeName) => lag.of(source, target, { source: label(source), target: label(target) });
  return {
    applied(told) {
      const event = { ...told, lagSeconds: byOneClock(told.lagSeconds, lag.clockOffsetMs(told.source)) };
      lagOf(event.source, event.target).applied(now(), event.lagSeconds);
      count(metrics, { ...event, source: label(event.source), target: label(event.target), child: label(event.child) }, now());
      const { source, target, kind, receipt } = event;
      const entry = { source, target, kind, packet: String(receipt.number), applied: receipt.applied, parked: receipt.parked };
      log.debug(entry, "packet applied");
      if (receipt.parked > 0) log.warn({ source, target, parked: receipt.parked, code: "CHANGE_PARKED" }, "changes were parked");
    },
    caughtUp({ source, target, at }) {
      lagOf(source, target).caughtUp(at);
    },
    failed({ parent, child, error, retryInMs: pause, attempt }) {
      const retryInMs = pause === null ? null : Math.round(pause);
      lagOf(parent, child).stalled();
      lagOf(child, parent).stalled();
      metrics.errors.inc({ component: "link", code: describeError(error).code });
      if (retryInMs === null) log.error({ parent, child, err: error }, "link stopped until a person acts");
      // a database that stays away is reported once a minute or so, not once a retry
      else log[attempt <= 3 || attempt % 10 === 0 ? "warn" : "debug"]({ parent, child, attempt, retryInMs, err: error }, "link failed");
    },
    recovered({ parent, child }) {
      log.info({ parent, child }, "link works again");
    },
    notice({ level, message, ...details }) {
      log[level](details, message);
    },
  };
}

/**
 * The age of a change is told by the source's clock against ours: what the source is ahead makes it look younger. An age of 0 may stand
 * for one in the future, of which nothing is known but that it is small.
 */
function byOneClock(lagSeconds: number | null, sourceAheadMs: number | null): number | null {
  if (lagSeconds === null || lagSeconds === 0) return lagSeconds;
  return Math.max(0, lagSeconds + (sourceAheadMs ?? 0) / 1000);
}

type Labelled = Omit<AppliedEvent, "source" | "target" | "child"> & Record<"source" | "target" | "child", string>;

function count(metrics: Metrics, event: Labelled, at: number): void {
  const { source, target, receipt } = event;
  metrics.batches.inc({ source, target, outcome: receipt.duplicate ? "duplicate" : "applied" });
  metrics.lastApplied.set({ source, target }, at / 1000);
  if (receipt.duplicate) return;
  metrics.applyDuration.observe({ source, target }, event.applySeconds);
  if (event.partChanges !== null) metrics.partChanges.set({ source, target }, event.partChanges);
  metrics.batchBytes.observe({ state: "raw" }, event.rawBytes);
  metrics.batchBytes.observe({ state: "compressed" }, event.compressedBytes);
  if (event.lagSeconds !== null) metrics.delay.observe({ source, target }, Math.max(0, event.lagSeconds));
  for (const [op, changes] of Object.entries(receipt.applied)) metrics.changesApplied.inc({ source, target, op }, changes);
  for (const { table, kind, resolution, count: decided } of receipt.conflicts) {
    metrics.conflicts.inc({ child: event.child, table, kind, resolution }, decided);
  }
}
