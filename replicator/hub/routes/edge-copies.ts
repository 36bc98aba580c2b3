import { z } from "zod";
import { position, tableName } from "../../change/names.ts";
import { ROWS_TYPE } from "../../full-sync/copy-frames.ts";
import { rowsRequest } from "../../full-sync/copy-stream.ts";
import { startSchema } from "../../link/exchange.ts";
import { reportSchema } from "../../link/report.ts";
import { answerBytes } from "../answer-bytes.ts";
import { type Caller, callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { EdgeCopies } from "../edge-copies.ts";
import { EdgeDesk } from "../edge-desk.ts";
import { ImageDesk } from "../images/image-desk.ts";
import { IMAGE_LIMITS, ImageStore } from "../images/image-store.ts";
import { bigNumber, named, nodeParam } from "../schemas/common.ts";
import { inTurn, Turns } from "../turns.ts";
import { edgeImageRoutes } from "./edge-images.ts";

const NODE = { access: ["node"] } as const;
/** A report tells of every row that the edge wants. */
const BODY_BYTES = 4 * 2 ** 20;

/** So many edges are sent rows at once, and so many are looked up what there is for them. */
const STREAMS = 4;
const LOOKS = 2;
/** Below what an edge takes for silence. */
const PATIENCE_MS = 20_000;

const count = z.number().min(0);
const digits = z.string().regex(/^(0|[1-9]\d{0,18})$/);
const runParam = z.object({ node: named, run: bigNumber.transform(BigInt) });
const tablesOf = z.array(z.string().min(1).max(500)).min(1).max(10_000);

const progressBody = z.strictObject({
  phase: z.enum(["prepare", "copy", "apply", "verify", "hand_over"]),
  rows: count,
  bytes: count,
  estimated_rows: count,
  position: digits.nullable().meta({ description: "The tick that what the edge holds is of: the hub's log is kept from there on." }),
  differing: count
    .nullable()
    .default(null)
    .meta({ description: "Rows that differed when both sides were compared afterwards; null where that is not known." }),
  end: z
    .strictObject({ state: z.enum(["done", "failed", "cancelled", "interrupted"]), error: z.string().max(2000).nullable() })
    .nullable()
    .meta({ description: "Null while it goes on." }),
});

/** How an edge is filled, or made equal to its hub again, in pieces: see docs/edges.md. */
export const edgeCopyRoutes: RoutePlugin = (server, hub) => {
  const desk = new EdgeDesk(hub);
  const { limits = IMAGE_LIMITS } = hub.images ?? {};
  const store = new ImageStore({ limits, now: hub.timers.now, log: hub.log });
  const images = new ImageDesk(store, { now: hub.timers.now });
  server.addHook("onClose", () => store.close());
  // a snapshot keeps a connection of the node's, and needs another while it is opened: others are to find one as well
  const streams = new Turns({ atOnce: STREAMS, patienceMs: PATIENCE_MS });
  const looks = new Turns({ atOnce: LOOKS, patienceMs: PATIENCE_MS });
  const copies = async (caller: Caller): Promise<EdgeCopies> => new EdgeCopies(await desk.place(caller), hub.topology());

  server.get(
    "/v1/nodes/:node/full-sync",
    {
      config: NODE,
      schema: {
        operationId: "edgeFullSyncTables",
        tags: ["edges"],
        summary: "What a full sync of this edge would copy: the tables as the hub has them, in the order in which they are sent",
        params: nodeParam,
        querystring: z.strictObject({
          table: z
            .union([z.string(), z.array(z.string())])
            .optional()
            .meta({ description: "Only these (given several times)." }),
          large: z.literal("asked").optional().meta({ description: "Without it `large` is not looked up." }),
        }),
        response: {
          200: z.object({
            epoch: z.string().meta({ description: "Of the hub's database." }),
            clock_ms: z.number().meta({ description: "Its clock, milliseconds since 1970." }),
            shapes: z.array(z.any()).meta({ description: "As in the header of a packet." }),
            large: z
              .boolean()
              .meta({ description: "So many rows that an edge without any is better filled by a full sync than by a packet." }),
          }),
        },
      },
    },
    async (request) => {
      const { table } = request.query;
      const wanted = table === undefined ? null : [table].flat().map(tableName);
      const place = await copies(callerOf(request));
      const large = request.query.large === undefined ? false : await inTurn(looks, () => place.isLarge(images, wanted));
      const { epoch, clockMs, shapes } = await place.plan(wanted);
      return { epoch, clock_ms: clockMs, shapes: [...shapes], large };
    },
  );
  server.post(
    "/v1/nodes/:node/full-sync",
    {
      config: NODE,
      bodyLimit: BODY_BYTES,
      schema: {
        operationId: "beginEdgeFullSync",
        tags: ["edges"],
        summary: "Begin a full sync of this edge, or go on with one that was interrupted; from here on the hub keeps its log for it",
        params: nodeParam,
        body: z.strictObject({ tables: tablesOf, resume: z.boolean().default(false), report: reportSchema }),
        response: { 201: z.object({ run: z.string(), resumed: z.boolean() }) },
      },
    },
    async (request, reply) => {
      const { tables, resume, report } = request.body;
      const { id, resumed } = await (await copies(callerOf(request))).begin({ tables: tables.map(tableName), resume, report });
      return reply.code(201).send({ run: id.toString(), resumed });
    },
  );
  server.post(
    "/v1/nodes/:node/full-sync/:run/rows",
    {
      config: NODE,
      schema: {
        operationId: "edgeFullSyncRows",
        tags: ["edges"],
        summary:
          "Everything that the edge has not got yet, as it is at one tick: what has changed of what it has, then the rest, in chunks in the order of the keys",
        description: `The body of the answer is ${ROWS_TYPE}. It may end before all was sent, after a minute or because the line broke; asked again with what has arrived, it goes on from there.`,
        params: runParam,
        body: rowsRequest,
        response: { 200: z.any().meta({ description: "Rows.", format: "binary" }) },
      },
    },
    async (request, reply) => {
      const { tables, position: at, chunk_rows: chunkRows } = request.body;
      const places = new Map(tables.map(({ table, up_to: upTo, done }) => [tableName(table), { upTo, done }]));
      const turn = await streams.begin();
      try {
        const stream = await (await copies(callerOf(request))).rows(request.params.run, {
          position: at === null ? null : position(at),
          places,
          chunkRows,
          now: hub.timers.now,
        });
        const bytes = answerBytes(hub, request, stream, { highWaterMark: 1 << 18 });
        bytes.once("close", () => turn.giveBack());
        return reply.type(ROWS_TYPE).send(bytes);
      } catch (error) {
        turn.giveBack();
        throw error;
      }
    },
  );
  server.put(
    "/v1/nodes/:node/full-sync/:run",
    {
      config: NODE,
      schema: {
        operationId: "noteEdgeFullSync",
        tags: ["edges"],
        summary:
          "How far the edge is: every few seconds while it runs, and when it ends. One that is silent for twenty seconds counts as interrupted",
        params: runParam,
        body: progressBody,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { estimated_rows: estimatedRows, position: at, end, ...progress } = request.body;
      await (await copies(callerOf(request))).note(
        request.params.run,
        { ...progress, estimatedRows, position: at === null ? null : position(at) },
        end,
      );
      return reply.code(204).send(null);
    },
  );
  server.post(
    "/v1/nodes/:node/full-sync/:run/hand-over",
    {
      config: NODE,
      bodyLimit: BODY_BYTES,
      schema: {
        operationId: "edgeHandsOver",
        tags: ["edges"],
        summary: "The edge is about to make its tables what it was sent: which scopes they are at then",
        params: runParam,
        body: z.strictObject({
          report: reportSchema,
          number: digits
            .nullable()
            .meta({ description: "Of the packet that the edge makes of it: the one after its last; null as long as it only asks." }),
        }),
        response: { 200: z.object({ scopes: z.array(z.tuple([z.string(), z.string()])) }) },
      },
    },
    async (request) => {
      const { report, number } = request.body;
      const scopes = await (await copies(callerOf(request))).handOver(request.params.run, report, number === null ? null : BigInt(number));
      return { scopes: [...scopes].map(([table, scope]): [string, string] => [table, scope.toString()]) };
    },
  );
  server.post(
    "/v1/nodes/:node/full-sync/:run/handed-over",
    {
      config: NODE,
      bodyLimit: BODY_BYTES,
      schema: {
        operationId: "edgeHasHandedOver",
        tags: ["edges"],
        summary: "The edge's tables are what it was sent, as of this position; the hub goes on from there",
        params: runParam,
        body: z.strictObject({ report: reportSchema, position: digits, starts: z.array(startSchema).max(1000) }),
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { report, position: at, starts } = request.body;
      await (await copies(callerOf(request))).handedOver(request.params.run, report, { position: position(at), starts });
      return reply.code(204).send(null);
    },
  );
  edgeImageRoutes(server, hub, { copies, store, images, looks });
};
