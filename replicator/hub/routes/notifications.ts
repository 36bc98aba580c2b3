import { z } from "zod";
import { hubOf } from "../../lifecycle/tree.ts";
import { notificationTargets, testNotifications } from "../../operations/test-notifications.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { named } from "../schemas/common.ts";
import { notificationTargetSchema, notificationTestSchema } from "../schemas/notifications.ts";

/** Who is told of what. Addresses and secrets are in the topology file, and nowhere here. */
export const notificationRoutes: RoutePlugin = (server, { topology, node, timers }) => {
  server.get(
    "/v1/notifications",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "listNotificationTargets",
        tags: ["upkeep"],
        summary: "Who is told of what, and what waits for them",
        response: { 200: z.object({ targets: z.array(notificationTargetSchema) }) },
      },
    },
    async () => {
      const targets = topology().notifications?.targets ?? [];
      const waiting = targets.length === 0 ? [] : await (await node(hubOf(topology()).name)).notifications.waiting();
      return {
        targets: targets.map(({ name, type, events }) => {
          const own = waiting.filter(({ target }) => target === name);
          const oldest = own[0];
          return {
            ...{ target: name, type, events: [...events], waiting: own.length },
            oldest_at: oldest === undefined ? null : new Date(oldest.at).toISOString(),
            last_error: own.find(({ lastError }) => lastError !== null)?.lastError ?? null,
          };
        }),
      };
    },
  );
  server.post(
    "/v1/notifications/test",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "testNotifications",
        tags: ["upkeep"],
        summary: "Send each target a test at once, past its limit and its choice of events",
        body: z.strictObject({ target: named.optional().meta({ description: "Only this one; all where it is missing." }) }),
        response: { 200: z.object({ results: z.array(notificationTestSchema) }) },
      },
    },
    async (request) => {
      const targets = notificationTargets(topology(), request.body.target);
      const results = await testNotifications(topology(), targets, timers.now);
      const { audit } = await node(hubOf(topology()).name);
      const details = { targets: results.map(({ target, outcome }) => `${target}: ${outcome}`) };
      await audit.record({ who: callerOf(request).name, what: "notifications tested", details });
      return { results: [...results] };
    },
  );
};
