import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import { tableName } from "../../change/names.ts";
import type { Decision, ShownConflict } from "../../node/conflict-desk.ts";
import type { Node } from "../../node/node.ts";
import { errorReport } from "../../observability/describe-error.ts";
import { conflictNodes, conflictPage } from "../../operations/conflict-pages.ts";
import { conflictReport, shownConflictReport } from "../../operations/conflict-report.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { problemOf, sendProblem } from "../problem.ts";
import { bigNumber, flag, limit, named } from "../schemas/common.ts";
import { conflictKind, conflictSchema, decisionSchema, notAsked, shownConflictSchema } from "../schemas/desks.ts";
import { etagOf, findConflict } from "../seen-conflict.ts";

const place = z.object({ node: named, id: bigNumber.transform(BigInt) });
const instant = z.iso.datetime({ offset: true }).optional();

/** The conflict history of all nodes, and decisions. */
export const conflictRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/conflicts",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "listConflicts",
        tags: ["conflicts"],
        summary: "Conflicts that were decided, and those that wait for a person, newest first",
        querystring: z.strictObject({
          open: flag("Only those that wait for a person."),
          node: named.optional().meta({ description: "Only those that this node decided, or whose change came from it; an edge as well." }),
          table: named.optional(),
          kind: conflictKind.optional(),
          since: instant.meta({ description: "Detected then or later." }),
          until: instant.meta({ description: "Detected before." }),
          limit: limit(50, 1000),
          before: z
            .string()
            .regex(/^[^/,]+\/\d{1,18}(,[^/,]+\/\d{1,18})*$/)
            .optional()
            .meta({ description: "The next page: `next` of this one, joined by commas." }),
        }),
        response: { 200: z.object({ conflicts: z.array(conflictSchema), next: z.array(z.string()).nullable(), not_asked: notAsked }) },
      },
    },
    async ({ query }) => {
      const topology = hub.topology();
      const { open, node = null, table, kind, since, until } = query;
      const asked = conflictNodes(topology, { open, node }).map(({ name }) => name);
      const filter = {
        limit: query.limit,
        ...(open ? { open } : {}),
        ...(table === undefined ? {} : { table: tableName(table) }),
        ...(kind === undefined ? {} : { kind }),
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
      };
      const page = await conflictPage(asked, hub.node, { filter, node: node as Node["name"] | null, before: positions(query.before) });
      return {
        conflicts: page.shown.map((each) => conflictReport(each.node, each.record)),
        next: page.next === null ? null : [...page.next],
        not_asked: page.failed.map(({ node: name, error }) => ({ node: name, error: errorReport(error) })),
      };
    },
  );
  server.get(
    "/v1/conflicts/:node/:id",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "showConflict",
        tags: ["conflicts"],
        summary: "A conflict with its row as it is now; the ETag is for deciding it",
        params: place,
        response: { 200: shownConflictSchema },
      },
    },
    async ({ params }, reply) => {
      const { node, shown } = await findConflict(hub, params);
      const report = shownConflictReport(node.name, shown);
      return reply.header("etag", etagOf(report)).send(report);
    },
  );
  server.post(
    "/v1/conflicts/:node/:id/resolve",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "resolveConflict",
        tags: ["conflicts"],
        summary: "Decide a conflict, or decide it anew; the decision replicates",
        description:
          "`If-Match` is the ETag of the conflict as whoever decides has seen it: where it, or its row, has changed since, nothing is done, and the answer is 412 with the conflict as it is now.",
        params: place,
        headers: z.looseObject({ "if-match": z.string().optional().meta({ description: "The ETag that showConflict answered. Needed." }) }),
        body: decisionSchema,
        response: { 200: z.object({ conflict: conflictSchema }) },
      },
    },
    async (request, reply) => {
      const { node, shown } = await findConflict(hub, request.params);
      const seen = request.headers["if-match"];
      if (seen === undefined) throw preconditionNeeded();
      const tag = etagOf(shownConflictReport(node.name, shown));
      reply.header("etag", tag);
      if (seen !== tag) return changed(reply, request.id, node, shown);
      try {
        // the caller has seen the row as it is, and decides knowing it
        const by = { who: callerOf(request).name, force: true };
        const decided = await node.conflicts.resolve(shown.record, decisionOf(request.body), by);
        return reply.send({ conflict: conflictReport(node.name, decided) });
      } catch (error) {
        if (!(error instanceof TomboloError) || error.code !== "CONFLICT_DECIDED") throw error;
        return changed(reply, request.id, node, (await node.conflicts.show(request.params.id)) ?? shown);
      }
    },
  );
};

/** Nothing was done: the problem, and beside it what there is now. */
function changed(reply: Parameters<typeof sendProblem>[0], requestId: string, node: Node, shown: ShownConflict): never {
  const error = new TomboloError(`conflict ${node.name}/${shown.record.id}, or its row, has changed since it was seen`, {
    code: "CONFLICT_DECIDED",
    kind: "operator",
    hint: "Nothing was done. Look at it as it is now, and decide again with the ETag of this answer.",
  });
  const report = shownConflictReport(node.name, shown);
  return sendProblem(reply.header("etag", etagOf(report)), problemOf(error, requestId, report)) as never;
}

const decisionOf = ({ take, set }: z.output<typeof decisionSchema>): Decision => (take === undefined ? { set: set ?? {} } : { take });

const positions = (before: string | undefined): ReadonlyMap<string, bigint> =>
  new Map((before?.split(",") ?? []).map((each) => [each.slice(0, each.indexOf("/")), BigInt(each.slice(each.indexOf("/") + 1))]));

const preconditionNeeded = (): TomboloError =>
  new TomboloError("what is decided is not said: If-Match is missing", {
    code: "IF_MATCH_MISSING",
    kind: "usage",
    hint: "Send the ETag of the conflict as it was seen in If-Match.",
  });
