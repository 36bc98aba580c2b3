import { z } from "zod";
import { PACKET_PROTOCOLS } from "../../change/packet-limits.ts";
import type { RoutePlugin } from "../context.ts";

const ping = z.object({
  name: z.string().meta({ description: "The topology's name." }),
  product: z.literal("tombolo"),
  version: z.string(),
  time: z.iso.datetime({ precision: 3 }).meta({ description: "The service's clock." }),
  protocol: z.object({ oldest: z.int(), newest: z.int() }).meta({ description: "The packets that are read here." }),
});

/** What anybody may ask of the service. */
export const serviceRoutes: RoutePlugin = (server, { topology, version, timers }) => {
  server.get(
    "/v1/ping",
    {
      config: { access: "public" },
      schema: {
        operationId: "ping",
        tags: ["service"],
        summary: "Whether the hub is there, its version and its time",
        response: { 200: ping },
      },
    },
    async () => ({
      name: topology().name,
      product: "tombolo" as const,
      version,
      time: new Date(timers.now()).toISOString(),
      protocol: PACKET_PROTOCOLS,
    }),
  );
  server.get(
    "/openapi.json",
    {
      config: { access: "public" },
      schema: {
        operationId: "openapi",
        tags: ["service"],
        summary: "This document",
        response: { 200: z.looseObject({ openapi: z.string() }) },
      },
    },
    async () => server.swagger() as { openapi: string },
  );
};
