import { Replicator } from "../lifecycle/replicator.ts";
import { listenForSignals } from "../lifecycle/signals.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { LagBook } from "../observability/lag.ts";
import { createLinkObserver } from "../observability/link-observer.ts";
import { createMetrics } from "../observability/metrics.ts";
import { EXIT } from "./exit-codes.ts";
import { hubEndpoint } from "./hub-endpoint.ts";
import { metricsEndpoint } from "./metrics-endpoint.ts";
import { reloadTopology } from "./reload.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";

export const run: RunVerb = async (context) => {
  const topology = await requireTopology(context);
  const log = await context.logger();
  const { now } = systemTimers;
  const lag = new LagBook();
  const metrics = createMetrics({ version: context.version, lag, now });
  const observer = createLinkObserver({ metrics, lag, log, now });
  const drain = new AbortController();
  const { parts, version } = context;
  const health = metricsEndpoint({ metrics, log, notReady: () => replicator.notReady(), status: () => replicator.status() });
  const hub = hubEndpoint({
    topology: () => replicator.topology,
    node: (name) => replicator.node(name),
    parts,
    metrics,
    lag,
    log,
    version,
  });
  const onLeading = async () => {
    await health.listenSoon(replicator.topology, drain.signal);
    if (!drain.signal.aborted) await hub.listenSoon(replicator.topology, drain.signal);
  };
  const replicator = new Replicator({ topology, parts, observer, metrics, lag, log, timers: systemTimers, onLeading });
  await health.listenIfFree(topology);
  await hub.listenIfFree(topology);
  // requests in hand need the nodes, which the replicator closes
  const stop = new AbortController();
  drain.signal.addEventListener("abort", () => void hub.close().finally(() => stop.abort()), { once: true });
  const ignore = listenForSignals({
    onDrain: (signal) => {
      log.info({ signal }, "stopping after the batches in hand; a second signal stops at once");
      drain.abort();
    },
    onStopNow: (signal) => {
      log.warn({ signal }, "stopped at once");
      process.exit(EXIT.failed);
    },
    onReload: () => {
      reloadTopology({
        context,
        metrics,
        current: () => replicator.topology,
        takeOver: (next) => replicator.reload(next),
        listen: async (next) => {
          for (const each of [health, hub]) await (replicator.leading ? each.listen(next) : each.listenIfFree(next));
        },
      }).catch((error: unknown) => log.error({ err: error }, "the reload failed"));
    },
  });
  try {
    await replicator.run(stop.signal);
  } finally {
    ignore();
    await hub.close();
    await health.close();
  }
  log.info("stopped");
  return EXIT.done;
};
