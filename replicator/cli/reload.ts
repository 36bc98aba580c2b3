import { hubOf } from "../lifecycle/tree.ts";
import { describeError } from "../observability/describe-error.ts";
import type { Metrics } from "../observability/metrics.ts";
import { loadTopology } from "../topology/load.ts";
import type { Topology } from "../topology/topology.ts";
import { problemLines } from "./topology-file.ts";
import type { CommandContext } from "./verb.ts";

export interface ReloadOptions {
  readonly context: CommandContext;
  readonly metrics: Metrics;
  /** The topology in force. */
  readonly current: () => Topology;
  /** Goes over to another one. */
  readonly takeOver: (topology: Topology) => Promise<void>;
  /** Moves the HTTP servers where the topology wants them. */
  readonly listen: (topology: Topology) => Promise<void>;
}

/** Reads the file again and goes over to it; a file with problems changes nothing, and each problem is in the log. */
export async function reloadTopology({ context, metrics, current, takeOver, listen }: ReloadOptions): Promise<void> {
  const log = await context.logger();
  try {
    const loaded = await loadTopology(context.file, context.env);
    const objections =
      "problems" in loaded ? loaded.problems.map((problem) => problemLines(problem).join(" ")) : objectionsTo(current(), loaded.topology);
    if ("problems" in loaded || objections.length > 0) {
      for (const objection of objections) log.error({ code: "RELOAD_REFUSED" }, objection);
      log.error({ code: "RELOAD_REFUSED" }, "the topology file was not taken over; the one before stays in force");
      metrics.reloads.inc({ outcome: "refused" });
      return;
    }
    await listen(loaded.topology);
    await takeOver(loaded.topology);
    metrics.reloads.inc({ outcome: "applied" });
    log.info({ links: loaded.topology.links.length }, "the topology file was read again and is in force");
  } catch (error) {
    metrics.reloads.inc({ outcome: "refused" });
    metrics.errors.inc({ component: "reload", code: describeError(error).code });
    log.error({ err: error }, "the topology file was not taken over; the one before stays in force");
  }
}

/** What a running process cannot change: its lease is for this name in this hub. */
function objectionsTo(before: Topology, after: Topology): readonly string[] {
  const objections: string[] = [];
  if (after.name !== before.name)
    objections.push(`the topology's name changed from ${before.name} to ${after.name}: restart to take it over`);
  if (JSON.stringify(hubOf(after)) !== JSON.stringify(hubOf(before))) objections.push("the hub changed: restart to take it over");
  return objections;
}
