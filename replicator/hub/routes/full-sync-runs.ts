import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import { nodeOf } from "../../lifecycle/tree.ts";
import { edgeHolder, type FullSyncRun } from "../../node/full-sync-runs.ts";
import type { Node } from "../../node/node.ts";
import { cancelFullSync } from "../../operations/ask-full-sync.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { runOption } from "../edge-orders.ts";
import { idParam, limit, named } from "../schemas/common.ts";
import { fullSyncRun, fullSyncRunSchema } from "../schemas/full-sync-runs.ts";

const whose = named.meta({ description: "Whose records." });
const ENDED = new Set(["done", "failed", "cancelled"]);

/** Full syncs that were, are, or are to be. */
export const fullSyncRunRoutes: RoutePlugin = (server, hub) => {
  const found = async (name: string, id: bigint): Promise<{ readonly node: Node; readonly run: FullSyncRun }> => {
    const node = await hub.node(nodeOf(hub.topology(), name).name);
    const run = await node.copies.runs.find(id);
    if (run !== null) return { node, run };
    throw new TomboloError(`${name} has no full sync ${id}`, {
      code: "FULL_SYNC_UNKNOWN",
      kind: "usage",
      hint: "See GET /v1/full-sync-runs.",
    });
  };

  server.get(
    "/v1/full-sync-runs",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "listFullSyncRuns",
        tags: ["upkeep"],
        summary: "Full syncs that a node is or was part of, newest first",
        querystring: z.strictObject({ node: whose, limit: limit(50, 1000) }),
        response: { 200: z.object({ runs: z.array(fullSyncRunSchema) }) },
      },
    },
    async ({ query }) => {
      const node = await hub.node(nodeOf(hub.topology(), query.node).name);
      return { runs: (await node.copies.runs.list(query.limit)).map((run) => fullSyncRun(node.name, run)) };
    },
  );
  server.get(
    "/v1/full-sync-runs/:id",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "showFullSyncRun",
        tags: ["upkeep"],
        summary: "One of them: where it is, or what it came to",
        params: idParam,
        querystring: z.strictObject({ node: whose }),
        response: { 200: fullSyncRunSchema },
      },
    },
    async ({ params, query }) => {
      const { node, run } = await found(query.node, params.id);
      return fullSyncRun(node.name, run);
    },
  );
  server.post(
    "/v1/full-sync-runs/:id/cancel",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "cancelFullSync",
        tags: ["upkeep"],
        summary: "Give up a full sync of an edge, begun or not: the tables stay as they are",
        description:
          "One of two databases that are reached is cancelled by closing the request, or by Ctrl-C of the command, that runs it.",
        params: idParam,
        querystring: z.strictObject({ node: whose }),
        response: { 200: fullSyncRunSchema },
      },
    },
    async (request) => {
      const { params, query } = request;
      const { node, run } = await found(query.node, params.id);
      if (!ENDED.has(run.state) && run.state !== "requested" && run.holder !== edgeHolder(run.peer))
        throw runOption(`${run.holder} runs it`, "Close the request, or stop the command, that runs it.");
      await cancelFullSync(node, { id: run.id, edge: run.peer, who: callerOf(request).name });
      return fullSyncRun(node.name, (await found(query.node, params.id)).run);
    },
  );
};
