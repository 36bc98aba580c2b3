import { z } from "zod";
import { ROLES } from "../../node/token-desk.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { moment } from "../schemas/common.ts";

const whoamiSchema = z.object({
  role: z.enum(ROLES),
  name: z.string().meta({ description: "What the token was issued for." }),
  node: z.string().nullable().meta({ description: "Of an edge." }),
  expires_at: moment.nullable().meta({ description: "When the token ends by itself; null for never." }),
  topology: z.string(),
  version: z.string().meta({ description: "Of the service." }),
  time: moment.meta({ description: "The service's clock." }),
});

/** What a token is good for, as its holder asks. */
export const whoamiRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/whoami",
    {
      config: { access: ["viewer", "node"] },
      schema: {
        operationId: "whoami",
        tags: ["rights"],
        summary: "Whose token the request carries, its role, and when it ends",
        response: { 200: whoamiSchema },
      },
    },
    async (request) => {
      const { role, name, node, tokenId } = callerOf(request);
      const [record] = await (await hub.tokens()).list({ limit: 1, before: tokenId + 1n });
      return {
        role,
        name,
        node,
        expires_at: record?.id === tokenId ? record.expiresAt : null,
        topology: hub.topology().name,
        version: hub.version,
        time: new Date(hub.timers.now()).toISOString(),
      };
    },
  );
};
