import { z } from "zod";
import { collectStatus } from "../../observability/status-report.ts";
import type { RoutePlugin } from "../context.ts";
import { reachAll } from "../reach.ts";
import { type StatusEvent, StatusFeed } from "../status-feed.ts";

/** Proxies cut off what is silent for longer. */
const HEARTBEAT_MS = 15_000;

/** A stream of server-sent events. */
export const eventRoutes: RoutePlugin = (server, hub) => {
  const look = async () => collectStatus(hub.topology(), await reachAll(hub), hub.timers.now, hub.lag);
  const feed = new StatusFeed({ look, timers: hub.timers, closing: hub.closing });
  server.get(
    "/v1/events",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "events",
        tags: ["nodes"],
        summary: "Changes of state as they happen: server-sent events",
        description:
          "An event `status` at once and whenever the state of a node, a link or an edge, or a count of what waits for a person, has changed, or a conflict, a parked change, a comparison or an entry of the audit trail has been added. Its data is JSON: `{nodes: [{name, state, conflicts_open, parked_changes, revision}], links: [{parent, child, state}], edges: [{edge, parent, state}]}`.",
        response: { 200: { description: "Server-sent events", content: { "text/event-stream": { schema: z.string() } } } },
      },
    },
    async (request, reply) => {
      const { raw } = reply.hijack();
      raw.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-request-id": request.id,
      });
      raw.write("retry: 2000\n\n");
      const leave = feed.listen((event: StatusEvent) => void raw.write(`event: status\ndata: ${JSON.stringify(event)}\n\n`));
      const heartbeat = setInterval(() => raw.write(":\n\n"), HEARTBEAT_MS);
      const end = (): void => {
        clearInterval(heartbeat);
        leave();
        hub.closing.removeEventListener("abort", end);
        raw.end();
      };
      raw.once("close", end);
      hub.closing.addEventListener("abort", end, { once: true });
    },
  );
};
