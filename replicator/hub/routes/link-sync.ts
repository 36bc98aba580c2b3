import { syncLink } from "../../operations/sync-link.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { directLink } from "../direct-link.ts";
import { linkParams, linkSyncSchema } from "../schemas/link-sync.ts";

/** Bringing over what is pending, now. */
export const linkSyncRoutes: RoutePlugin = (server, hub) => {
  server.post(
    "/v1/links/:parent/:child/sync",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "syncLink",
        tags: ["nodes"],
        summary: "Bring over what is pending on a link, both ways, or wait for whoever replicates to do so; half a minute at most",
        params: linkParams,
        response: { 200: linkSyncSchema },
      },
    },
    async (request, reply) => {
      const { parent, child } = request.params;
      const topology = hub.topology();
      const link = directLink(topology, `${parent}/${child}`);
      hub.log.info({ who: callerOf(request).name, link: `${parent}/${child}` }, "a sync was asked for");
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      const { node: reach, parts, log, timers } = hub;
      const { open, pending, ...counts } = await syncLink(
        { topology, reach, parts, log, timers },
        link,
        AbortSignal.any([gone.signal, hub.closing]),
      );
      return { parent, child, ...counts, conflicts_open: open, pending_changes: pending };
    },
  );
};
