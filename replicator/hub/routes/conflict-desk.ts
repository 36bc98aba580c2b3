import { z } from "zod";
import { nodeName } from "../../change/names.ts";
import { nodeOf } from "../../lifecycle/tree.ts";
import { errorReport } from "../../observability/describe-error.ts";
import { decideMany } from "../../operations/conflict-bulk.ts";
import { previewDecision } from "../../operations/conflict-preview.ts";
import { shownConflictReport } from "../../operations/conflict-report.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { bigNumber, failure, named } from "../schemas/common.ts";
import { previewSchema, proposalSchema } from "../schemas/desks.ts";
import { etagOf, findConflict } from "../seen-conflict.ts";

const place = z.object({ node: named, id: bigNumber.transform(BigInt) });

/** A request lasts some seconds at most. */
const MOST_AT_ONCE = 500;

/** What helps a person to decide: what would come of it, and many at once. */
export const conflictDeskRoutes: RoutePlugin = (server, hub) => {
  server.post(
    "/v1/conflicts/:node/:id/preview",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "previewConflict",
        tags: ["conflicts"],
        summary: "What the row would be by a decision, or by a merge of both sides' edits; changes nothing",
        description:
          "`decision` of the answer is what resolveConflict takes for it, with the ETag of this answer. What the database's constraints and triggers make of the row is not asked.",
        params: place,
        body: proposalSchema,
        response: { 200: previewSchema },
      },
    },
    async ({ params, body }, reply) => {
      const { node, shown } = await findConflict(hub, params);
      const tables = hub.topology().channels.flatMap((channel) => channel.tables);
      const rule = tables.find(({ name }) => name === shown.record.table) ?? null;
      const { take, set } = body;
      const proposal = body.merge === true ? { merge: true as const } : take === undefined ? { set: set ?? {} } : { take };
      const { changed, merged, ...preview } = await previewDecision(shown, proposal, { rule, engine: node.engine });
      return reply
        .header("etag", etagOf(shownConflictReport(node.name, shown)))
        .send({ ...preview, changed: [...changed], merged: [...merged] });
    },
  );
  server.post(
    "/v1/conflicts/resolve",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "resolveConflicts",
        tags: ["conflicts"],
        summary: "Decide many open conflicts alike; the decisions replicate",
        description:
          "Each is decided by itself, where it still waits for a person and its row is as the conflict left it. The others stay as they are, and `refused` says why.",
        body: z.strictObject({
          take: z.enum(["parent", "child", "base"]),
          conflicts: z
            .array(z.strictObject({ node: named, id: bigNumber.transform(BigInt) }))
            .min(1)
            .max(MOST_AT_ONCE),
        }),
        response: {
          200: z.object({ decided: z.int(), refused: z.array(z.object({ node: z.string(), id: z.string(), error: failure })) }),
        },
      },
    },
    async (request) => {
      const topology = hub.topology();
      const { take, conflicts } = request.body;
      for (const { node } of conflicts) nodeOf(topology, node);
      const outcomes = await decideMany(
        conflicts.map(({ node, id }) => ({ node: nodeName(node), id })),
        { take, who: callerOf(request).name, reach: hub.node, signal: hub.closing },
      );
      const refused = outcomes.filter(({ error }) => error !== null);
      return {
        decided: outcomes.length - refused.length,
        refused: refused.map(({ node, id, error }) => ({ node, id: id.toString(), error: errorReport(error) })),
      };
    },
  );
};
