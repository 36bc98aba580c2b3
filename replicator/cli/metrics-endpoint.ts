import { describeError } from "../observability/describe-error.ts";
import { type HttpOptions, startHttp } from "../observability/http.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology } from "../topology/topology.ts";
import { Endpoint } from "./endpoint.ts";

type MetricsEndpointOptions = Pick<HttpOptions, "metrics" | "notReady" | "status"> & { readonly log: Logger };

/** Metrics and health, where `metrics.listen` wants them. */
export function metricsEndpoint(options: MetricsEndpointOptions): Endpoint<NonNullable<Topology["metrics"]>> {
  const { log, metrics } = options;
  const onError = (error: unknown) => {
    metrics.errors.inc({ component: "http", code: describeError(error).code });
    log.warn({ err: error }, "an HTTP request failed");
  };
  return new Endpoint({
    what: "metrics",
    log,
    wanted: (topology) => topology.metrics,
    async start(address) {
      const server = await startHttp({ ...address, ...options, onError });
      log.info({ address: server.url }, "serving /metrics, /healthz, /readyz and /status");
      return server;
    },
  });
}
