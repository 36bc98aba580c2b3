import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Topology } from "../topology/topology.ts";
import type { WantedService } from "./supervisor.ts";
import type { Timers } from "./timers.ts";

/** Whoever is to be told of something; loaded where the topology names somebody. */
export function notificationServices(options: {
  readonly topology: Topology;
  readonly node: (name: NodeName) => Promise<Node>;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly timers: Timers;
}): readonly WantedService[] {
  const { notifications, nodes, links } = options.topology;
  if (notifications === undefined) return [];
  const run = async (signal: AbortSignal): Promise<void> => {
    const { Notifier } = await import("../notify/notifier.ts");
    await new Notifier({ ...options, notifications }).run(signal);
  };
  return [{ service: { name: "notifications", run }, fingerprint: JSON.stringify([notifications, nodes, links]) }];
}
