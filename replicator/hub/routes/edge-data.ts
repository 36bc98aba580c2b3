import type { FastifyReply } from "fastify";
import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import type { PacketHeader } from "../../change/packet.ts";
import { NODE_LIMITS } from "../../change/packet-limits.ts";
import { EXCHANGE_TYPE, HUB_FEATURES, PACKET_TYPE } from "../../link/exchange.ts";
import { manifestSchema } from "../../link/manifest.ts";
import { receiptJson, receiptSchema } from "../../link/receipts.ts";
import { answerBytes } from "../answer-bytes.ts";
import { bodyBytes } from "../body-bytes.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { EdgeDesk } from "../edge-desk.ts";
import { exchange, pull, push } from "../edge-exchange.ts";
import { edgeStatus } from "../edge-status.ts";
import { problemOf, sendProblem } from "../problem.ts";
import { bigNumber, moment, named, nodeParam } from "../schemas/common.ts";
import { edgeStatusSchema, pullQuery, reportOfQuery, statusQuery } from "../schemas/edges.ts";
import { Turns } from "../turns.ts";

/** After which an edge comes again that found too many others. */
const BUSY_SECONDS = 3;
const NODE = { access: ["node"] } as const;
const TRANSFER = { ...NODE, transfer: true } as const;
const bytes = (description: string) => z.any().meta({ description, format: "binary" });

/** How an edge's data moves: see docs/edges.md. */
export const edgeDataRoutes: RoutePlugin = (server, hub) => {
  const desk = new EdgeDesk(hub);
  const turns = new Turns();
  // nothing of it is read before a route asks for it, and that is after the caller is known
  server.addContentTypeParser([PACKET_TYPE, EXCHANGE_TYPE], (_, payload, done) => done(null, payload));

  server.get(
    "/v1/nodes/:node/status",
    {
      config: NODE,
      schema: {
        operationId: "edgeStatus",
        tags: ["edges"],
        summary: "Where the hub is with an edge: what it has received of it, and what it has for it; changes nothing",
        params: nodeParam,
        querystring: statusQuery,
        response: { 200: edgeStatusSchema },
      },
    },
    async (request) => edgeStatus(await desk.place(callerOf(request)), request.query.features),
  );
  server.get(
    "/v1/nodes/:node/topology",
    {
      config: NODE,
      schema: {
        operationId: "edgeTopology",
        tags: ["edges"],
        summary: "What an edge has to know: channels, tables, directions, limits",
        params: nodeParam,
        response: {
          200: z.object({
            id: z.string(),
            made_at: moment,
            features: z.array(z.string()).meta({
              description: "What the hub may tell in an exchange to an edge that lists it; and `images`, where it has rows for many edges.",
            }),
            topology: manifestSchema,
          }),
        },
      },
    },
    async (request) => {
      const { manifest, manifestId } = await desk.place(callerOf(request));
      return {
        id: manifestId,
        made_at: new Date(hub.timers.now()).toISOString(),
        features: [...HUB_FEATURES],
        topology: manifest,
      };
    },
  );
  server.put(
    "/v1/nodes/:node/packets/:number",
    {
      config: TRANSFER,
      bodyLimit: NODE_LIMITS.compressed,
      schema: {
        operationId: "pushPacket",
        tags: ["edges"],
        summary: "Apply one packet of an edge",
        description:
          "Exactly once: the packet that was applied last gets its receipt again. Another one of that number is `PACKET_FORK`, one that does not come next is `PACKET_GAP`; both answers hold `expected` and `previous`.",
        params: z.object({ node: named, number: bigNumber }),
        headers: z.looseObject({
          "tombolo-clock": z.coerce
            .number<string>()
            .optional()
            .meta({ description: "The edge's clock, milliseconds since 1970. Without it, times of changes are not compared." }),
        }),
        body: bytes(`A packet, as ${PACKET_TYPE}.`),
        response: { 200: receiptSchema },
      },
    },
    async (request, reply) => {
      const { end } = await desk.place(callerOf(request));
      const expected = ({ number }: PacketHeader): void => {
        if (number.toString() !== request.params.number) throw wrongNumber(number);
      };
      try {
        const clockMs = request.headers["tombolo-clock"] ?? null;
        return receiptJson(await push(end, bodyBytes(request), { clockMs, expected }));
      } catch (error) {
        if (!(error instanceof TomboloError) || !["PACKET_GAP", "PACKET_FORK"].includes(error.code)) throw error;
        const { number, digest } = (await end.report()).state;
        return sendProblem(reply, problemOf(error, request.id, { expected: (number + 1n).toString(), previous: digest })) as never;
      }
    },
  );
  server.get(
    "/v1/nodes/:node/packets",
    {
      config: NODE,
      schema: {
        operationId: "pullPackets",
        tags: ["edges"],
        summary: "What the hub has for an edge from where the edge is: packets, one after the other",
        description: `An edge that has nothing yet asks without parameters, and is filled. From then on it says where it is, as the headers of the packets told it; what it says it has is acknowledged. The body is ${PACKET_TYPE}: packets that follow each other without anything between them. 204 when there was nothing in time.`,
        params: nodeParam,
        querystring: pullQuery,
        response: { 200: bytes("Packets."), 204: z.null() },
      },
    },
    async (request, reply) => {
      const place = await desk.place(callerOf(request));
      const all = place.link.channels.filter(({ direction }) => direction !== "up").map(({ name }) => name);
      const heard = await place.end.hear(reportOfQuery(request.query, { all, nowMs: hub.timers.now() }), { isWhole: false });
      const pipe = await pull(place, heard, { waitMs: request.query.wait * 1000, signal: over(reply, hub.closing) });
      return pipe === null ? reply.code(204).send(null) : reply.type(PACKET_TYPE).send(answerBytes(hub, request, pipe));
    },
  );
  server.post(
    "/v1/nodes/:node/exchange",
    {
      config: TRANSFER,
      bodyLimit: NODE_LIMITS.compressed,
      schema: {
        operationId: "exchange",
        tags: ["edges"],
        summary: "Both ways in one round trip: what the edge brings is applied, and what the hub has for it is the answer",
        description: `Body and answer are ${EXCHANGE_TYPE}: a length and a CRC-32 (four bytes each, big-endian) and so much JSON, packets that follow each other, and in the answer the same again with the counts. docs/edges.md has the members. The last of the answer counts what was sent, received, and decided.`,
        params: nodeParam,
        body: bytes(`An exchange, as ${EXCHANGE_TYPE}.`),
        response: { 200: bytes("The answer.") },
      },
    },
    async (request, reply) => {
      const place = await desk.place(callerOf(request));
      const pipe = await exchange(place, bodyBytes(request), over(reply, hub.closing), turns).catch((error: unknown) => {
        // not as long as for one who asks too often
        if (error instanceof TomboloError && error.code === "RATE_LIMITED") void reply.header("retry-after", BUSY_SECONDS);
        throw error;
      });
      return reply.type(EXCHANGE_TYPE).send(answerBytes(hub, request, pipe));
    },
  );
};

/** Aborts when nobody waits for the answer any more, or the service is to end. */
function over(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  return AbortSignal.any([gone.signal, closing]);
}

const wrongNumber = (number: bigint): TomboloError =>
  new TomboloError(`the packet says that it has number ${number}, the path says another`, {
    code: "REQUEST_INVALID",
    kind: "usage",
    hint: "Name the number of the packet in the path.",
  });
