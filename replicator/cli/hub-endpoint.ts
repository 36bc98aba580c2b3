import { fileURLToPath } from "node:url";
import type { HubContext } from "../hub/context.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import type { Topology } from "../topology/topology.ts";
import { Endpoint } from "./endpoint.ts";

export type HubEndpointOptions = Pick<HubContext, "topology" | "node" | "parts" | "metrics" | "lag" | "log" | "version">;

/** What the build makes of dashboards/console lies beside the compiled code. */
const CONSOLE = fileURLToPath(new URL("../../dashboards/console", import.meta.url));

/** The hub's service, where `hub.listen` wants it. What it is made of is loaded where a topology has one. */
export function hubEndpoint(options: HubEndpointOptions): Endpoint<NonNullable<Topology["hub"]>> {
  const { log } = options;
  return new Endpoint({
    what: "hub",
    log,
    wanted: (topology) => topology.hub,
    async start(address) {
      const [{ startHub }, { HUB_ROUTES }, { consoleRoutes }] = await Promise.all([
        import("../hub/listen.ts"),
        import("../hub/routes.ts"),
        import("../hub/routes/console.ts"),
      ]);
      const service = await startHub(address, { ...options, timers: systemTimers, routes: [...HUB_ROUTES, consoleRoutes(CONSOLE)] });
      log.info({ address: service.url }, "serving the hub");
      return service;
    },
  });
}
