import { z } from "zod";
import { tableName } from "../../change/names.ts";
import { FrameReader, ROWS_TYPE } from "../../full-sync/copy-frames.ts";
import {
  differencesAnswer,
  handedOverAnswer,
  pushBegin,
  pushBegun,
  pushedChanges,
  pushedChunk,
  pushHandOver,
  stageAnswer,
  stageBody,
  stagedJson,
} from "../../full-sync/push-asks.ts";
import { receiptJson } from "../../link/receipts.ts";
import type { CopyStage } from "../../node/full-copy.ts";
import { bodyBytes } from "../body-bytes.ts";
import { type Caller, callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { EdgeDesk } from "../edge-desk.ts";
import { EdgePushes } from "../edge-pushes.ts";
import { bigNumber, named, nodeParam } from "../schemas/common.ts";
import { slowAnswer } from "../slow-answer.ts";

const NODE = { access: ["node"] } as const;
const TRANSFER = { ...NODE, transfer: true } as const;
/** A report tells of every row that the edge wants. */
const BODY_BYTES = 4 * 2 ** 20;
/** A chunk, or what has changed meanwhile. */
const ROWS_BYTES = 4 * 2 ** 30;

const runParam = z.object({ node: named, run: bigNumber.transform(BigInt) });
const rowsBody = z.any().meta({ description: `Frames, as ${ROWS_TYPE}.`, format: "binary" });

/** How a hub takes over what an edge has, in pieces: see docs/edges.md. */
export const edgePushRoutes: RoutePlugin = (server, hub) => {
  const desk = new EdgeDesk(hub);
  const pushes = async (caller: Caller): Promise<EdgePushes> =>
    new EdgePushes(await desk.place(caller), { topology: hub.topology(), judge: await hub.parts.judge() });
  // nothing of it is read before a route asks for it, and that is after the caller is known
  server.addContentTypeParser(ROWS_TYPE, (_, payload, done) => done(null, payload));

  server.post(
    "/v1/nodes/:node/full-sync-push",
    {
      config: NODE,
      bodyLimit: BODY_BYTES,
      schema: {
        operationId: "beginEdgePush",
        tags: ["edges"],
        summary: "Begin a full sync in which the hub takes over what this edge has, or go on with one that was interrupted",
        description:
          "The hub's operator has asked for it, or all of the tables only travel up or let the edge win; otherwise `FULL_SYNC_NOT_ASKED`. How far it is, and that it ends, is told with `PUT full-sync/{run}`.",
        params: nodeParam,
        body: pushBegin,
        response: { 200: pushBegun },
      },
    },
    async (request, reply) => {
      const { tables, resume, report } = request.body;
      const given = { tables: tables.map(tableName), resume, report };
      const begin = async (): Promise<z.input<typeof pushBegun>> => {
        const { id, resumed, position } = await (await pushes(callerOf(request))).begin(given);
        return { run: id.toString(), resumed, position: position.toString() };
      };
      return slowAnswer(hub, { request, reply }, begin()) as never;
    },
  );
  server.post(
    "/v1/nodes/:node/full-sync-push/:run/stage",
    {
      config: NODE,
      bodyLimit: BODY_BYTES,
      schema: {
        operationId: "edgePushStage",
        tags: ["edges"],
        summary: "How far what this edge has sent is; what does not fit the tables any more begins anew",
        params: runParam,
        body: stageBody,
        response: { 200: stageAnswer },
      },
    },
    async (request) => stageJson(await (await pushes(callerOf(request))).staged(request.params.run, request.body.shapes)),
  );
  server.post(
    "/v1/nodes/:node/full-sync-push/:run/rows",
    {
      config: TRANSFER,
      bodyLimit: ROWS_BYTES,
      schema: {
        operationId: "edgePushRows",
        tags: ["edges"],
        summary: "A chunk of a table: JSON ({shapes, table, after, up_to}), then its rows. One transaction, with how far the table is",
        params: runParam,
        body: rowsBody,
        response: { 200: stageAnswer.shape.tables.element },
      },
    },
    async (request) => {
      const reader = new FrameReader(bodyBytes(request));
      const { shapes, table, after, up_to: upTo } = await reader.json(pushedChunk);
      return stagedJson(table, await (await pushes(callerOf(request))).add(request.params.run, reader, { shapes, table, after, upTo }));
    },
  );
  server.post(
    "/v1/nodes/:node/full-sync-push/:run/changes",
    {
      config: TRANSFER,
      bodyLimit: ROWS_BYTES,
      schema: {
        operationId: "edgePushChanges",
        tags: ["edges"],
        summary:
          "What has changed of what was sent: JSON ({shapes, position, changed, anew}), then of each of `changed` its keys and its rows. One transaction",
        params: runParam,
        body: rowsBody,
        response: { 200: stageAnswer },
      },
    },
    async (request) => {
      const reader = new FrameReader(bodyBytes(request));
      const head = await reader.json(pushedChanges);
      return stageJson(await (await pushes(callerOf(request))).renew(request.params.run, reader, head));
    },
  );
  server.post(
    "/v1/nodes/:node/full-sync-push/:run/hand-over",
    {
      config: NODE,
      bodyLimit: BODY_BYTES,
      schema: {
        operationId: "edgePushHandOver",
        tags: ["edges"],
        summary:
          "Count what the hand-over would do, or do it: one transaction makes the hub's tables what was sent, as far as they are the edge's",
        description:
          "An answer that takes long begins with blank lines; what goes wrong after them is `{problem}`. `FULL_SYNC_DELETES` where more rows would go than the hub's operator agreed to.",
        params: runParam,
        body: pushHandOver,
        response: { 200: z.union([differencesAnswer, handedOverAnswer]) },
      },
    },
    async (request, reply) => {
      const { number, ...asked } = request.body;
      const { run } = request.params;
      const work = async (): Promise<object> => {
        const push = await pushes(callerOf(request));
        if (number === null) return { differences: await push.compare(run, asked) };
        const receipt = await push.handOver(run, asked, BigInt(number));
        hub.log.info({ edge: callerOf(request).node, run: run.toString() }, "the hub has taken over what an edge has");
        return { receipt: receiptJson(receipt) };
      };
      return slowAnswer(hub, { request, reply }, work()) as never;
    },
  );
};

const stageJson = ({ position, progress }: Pick<CopyStage, "position" | "progress">): z.input<typeof stageAnswer> => ({
  position: position?.toString() ?? null,
  tables: [...progress].map(([table, staged]) => stagedJson(table, staged)),
});
