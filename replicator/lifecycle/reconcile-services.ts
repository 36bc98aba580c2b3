import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import type { WantedService } from "./supervisor.ts";
import type { Timers } from "./timers.ts";

/** Comparisons of what must be compared, and those by schedule; each is loaded where it is wanted. */
export function reconcileServices(options: {
  readonly topology: Topology;
  readonly node: (name: NodeName) => Promise<Node>;
  /** For whoever wants connections of its own, and closes them. */
  readonly open: (config: TopologyNode) => Promise<Node>;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly timers: Timers;
}): readonly WantedService[] {
  const { reconcile, links, channels, nodes } = options.topology;
  const marked = async (signal: AbortSignal): Promise<void> => {
    const { createMarkedTables } = await import("../reconcile/marked-tables.ts");
    await createMarkedTables(options).run(signal);
  };
  const scheduled = async (signal: AbortSignal): Promise<void> => {
    const { createScheduler } = await import("../reconcile/scheduler.ts");
    await createScheduler(options).run(signal);
  };
  const fingerprint = JSON.stringify([links, channels, nodes]);
  const always: WantedService = { service: { name: "marked-tables", run: marked }, fingerprint };
  if (reconcile.length === 0) return [always];
  return [always, { service: { name: "reconcile", run: scheduled }, fingerprint: JSON.stringify([reconcile, fingerprint]) }];
}
