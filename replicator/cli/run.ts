import { Replicator } from "../lifecycle/replicator.ts";
import { listenForSignals } from "../lifecycle/signals.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { describeError } from "../observability/describe-error.ts";
import { type HttpServer, startHttp } from "../observability/http.ts";
import { LagBook } from "../observability/lag.ts";
import { createLinkObserver } from "../observability/link-observer.ts";
import { createMetrics, type Metrics } from "../observability/metrics.ts";
import type { Topology } from "../topology/topology.ts";
import { EXIT } from "./exit-codes.ts";
import { reloadTopology } from "./reload.ts";
import { requireRunnableTopology } from "./topology-file.ts";
import type { CommandContext, Verb } from "./verb.ts";

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
    const replicator = new Replicator({ topology, parts: context.parts, observer, metrics, lag, log, timers: systemTimers });
    const served = new Served(context, metrics, replicator);
    await served.listen(topology);
    const drain = new AbortController();
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
        reloadTopology({ context, replicator, metrics, listen: (next) => served.listen(next) }).catch((error: unknown) =>
          log.error({ err: error }, "the reload failed"),
        );
      },
    });
    try {
      await replicator.run(drain.signal);
    } finally {
      ignore();
      await served.close();
    }
    log.info("stopped");
    return EXIT.done;
  },
};

/** The HTTP server of the process, which a reload may move to another address. */
class Served {
  readonly #context: CommandContext;
  readonly #metrics: Metrics;
  readonly #replicator: Replicator;
  #address = "";
  #server: HttpServer | null = null;

  constructor(context: CommandContext, metrics: Metrics, replicator: Replicator) {
    this.#context = context;
    this.#metrics = metrics;
    this.#replicator = replicator;
  }

  async listen(topology: Topology): Promise<void> {
    const address = JSON.stringify(topology.metrics);
    if (address === this.#address) return;
    const before = this.#server;
    this.#server = topology.metrics === null ? null : await this.#start(topology.metrics);
    this.#address = address;
    await before?.close();
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  async #start(address: { readonly host: string; readonly port: number }): Promise<HttpServer> {
    const { log } = this.#context;
    const server = await startHttp({
      ...address,
      metrics: this.#metrics,
      notReady: () => this.#replicator.notReady(),
      status: () => this.#replicator.status(),
      onError: (error) => {
        this.#metrics.errors.inc({ component: "http", code: describeError(error).code });
        log.warn({ err: error }, "an HTTP request failed");
      },
    });
    log.info({ address: server.url }, "serving /metrics, /healthz, /readyz and /status");
    return server;
  }
}
