import { Replicator } from "../lifecycle/replicator.ts";
import { listenForSignals } from "../lifecycle/signals.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { LagBook } from "../observability/lag.ts";
import { createLinkObserver } from "../observability/link-observer.ts";
import { createMetrics } from "../observability/metrics.ts";
import { EXIT } from "./exit-codes.ts";
import { HttpEndpoint } from "./http-endpoint.ts";
import { reloadTopology } from "./reload.ts";
import { requireRunnableTopology } from "./topology-file.ts";
import type { Verb } from "./verb.ts";

export const run: Verb = {
  name: "run",
  summary: "replicate until told to stop; one process per topology, a second one waits",
  examples: ["tombolo run", "tombolo -c /etc/tombolo/topology.yaml run --log-format json", "kill -HUP <pid>   # read the file again"],
  async run(context) {
    const topology = await requireRunnableTopology(context);
    const { log } = context;
    const { now } = systemTimers;
    const lag = new LagBook();
    const metrics = createMetrics({ version: context.version, lag, now });
    const observer = createLinkObserver({ metrics, lag, log, now });
    const drain = new AbortController();
    const endpoint = new HttpEndpoint({ metrics, log, notReady: () => replicator.notReady(), status: () => replicator.status() });
    const onLeading = () => endpoint.listenSoon(replicator.topology, drain.signal);
    const replicator = new Replicator({ topology, parts: context.parts, observer, metrics, lag, log, timers: systemTimers, onLeading });
    await endpoint.listenIfFree(topology);
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
          replicator,
          metrics,
          listen: (next) => (replicator.leading ? endpoint.listen(next) : endpoint.listenIfFree(next)),
        }).catch((error: unknown) => log.error({ err: error }, "the reload failed"));
      },
    });
    try {
      await replicator.run(drain.signal);
    } finally {
      ignore();
      await endpoint.close();
    }
    log.info("stopped");
    return EXIT.done;
  },
};
