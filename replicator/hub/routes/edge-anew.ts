import { z } from "zod";
import { anewJson, begunRequest, marksRequest, placesJson } from "../../full-sync/resync-asks.ts";
import { type Caller, callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { EdgeAnew } from "../edge-anew.ts";
import { EdgeDesk } from "../edge-desk.ts";
import { bigNumber, named } from "../schemas/common.ts";

const NODE = { access: ["node"] } as const;
const runParam = z.object({ node: named, run: bigNumber.transform(BigInt) });

/** How an edge and its hub begin anew whose memories of each other no longer agree: see docs/full-sync.md. */
export const edgeAnewRoutes: RoutePlugin = (server, hub) => {
  const desk = new EdgeDesk(hub);
  const anew = async (caller: Caller): Promise<EdgeAnew> => new EdgeAnew(await desk.place(caller), hub.topology());

  server.post(
    "/v1/nodes/:node/resync/:run",
    {
      config: NODE,
      schema: {
        operationId: "edgeBeginsAnew",
        tags: ["edges"],
        summary: "From where on this edge is to go on, which the hub's operator has asked to begin anew; changes nothing",
        params: runParam,
        body: marksRequest,
        response: { 200: anewJson },
      },
    },
    async (request) => {
      const { received, sent, receivedPacket } = await (await anew(callerOf(request))).from(request.params.run, request.body.marks);
      return { received: placesJson(received), sent: placesJson(sent), received_packet: receivedPacket.toString() };
    },
  );
  server.post(
    "/v1/nodes/:node/resync/:run/begun",
    {
      config: NODE,
      schema: {
        operationId: "edgeHasBegunAnew",
        tags: ["edges"],
        summary: "The edge has; the hub does the same. Nothing flows between the two until the full sync that follows is handed over",
        params: runParam,
        body: begunRequest,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { received_packet: receivedPacket, ...at } = request.body;
      await (await anew(callerOf(request))).begun(request.params.run, { ...at, receivedPacket });
      return reply.code(204).send(null);
    },
  );
};
