import { TomboloError } from "../change/error.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { describeError } from "../observability/describe-error.ts";
import { type HttpOptions, type HttpServer, startHttp } from "../observability/http.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology } from "../topology/topology.ts";

export type EndpointOptions = Pick<HttpOptions, "metrics" | "notReady" | "status"> & { readonly log: Logger };

/** A process that has just given up the lease still closes its server: so long its successor waits for the address. */
const PATIENCE_MS = 5_000;
const RETRY_MS = 100;

/** The HTTP server of the process: not there while another replicator has the address, moved by a reload. */
export class HttpEndpoint {
  readonly #options: EndpointOptions;
  #address = "";
  #server: HttpServer | null = null;

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  /** Serves where the topology wants it. Throws `HTTP_LISTEN` (usage) when the address is taken; then what was served before still is. */
  async listen(topology: Topology): Promise<void> {
    const address = JSON.stringify(topology.metrics);
    if (address === this.#address) return;
    const before = this.#server;
    this.#server = topology.metrics === null ? null : await this.#start(topology.metrics);
    this.#address = address;
    await before?.close();
  }

  /** The same, where the address may be that of the replicator that this one waits for: then it is left to it. */
  async listenIfFree(topology: Topology): Promise<void> {
    try {
      await this.listen(topology);
    } catch (error) {
      if (!isTaken(error)) throw error;
      this.#options.log.warn({ err: error }, "metrics are not served while this process waits");
    }
  }

  /** The same, for a process that has just become the one that replicates. */
  async listenSoon(topology: Topology, signal: AbortSignal): Promise<void> {
    for (const deadline = systemTimers.now() + PATIENCE_MS; ; ) {
      try {
        return await this.listen(topology);
      } catch (error) {
        if (!isTaken(error) || signal.aborted || systemTimers.now() > deadline) throw error;
        await systemTimers.sleep(RETRY_MS, signal);
      }
    }
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  async #start(address: { readonly host: string; readonly port: number }): Promise<HttpServer> {
    const { log, metrics, notReady, status } = this.#options;
    const onError = (error: unknown) => {
      metrics.errors.inc({ component: "http", code: describeError(error).code });
      log.warn({ err: error }, "an HTTP request failed");
    };
    const server = await startHttp({ ...address, metrics, notReady, status, onError });
    log.info({ address: server.url }, "serving /metrics, /healthz, /readyz and /status");
    return server;
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof TomboloError && error.code === "HTTP_LISTEN" && (error.cause as NodeJS.ErrnoException).code === "EADDRINUSE";
}
