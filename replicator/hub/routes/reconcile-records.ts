import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import { tableName } from "../../change/names.ts";
import { parseRow } from "../../change/value.ts";
import { linkName, nodeOf } from "../../lifecycle/tree.ts";
import type { FoundRow } from "../../node/digest.ts";
import { errorReport } from "../../observability/describe-error.ts";
import { cancelReconcile } from "../../operations/ask-reconcile.ts";
import { comparingNodes, keptRuns } from "../../operations/reconcile-records.ts";
import { type RowJson, rowJson } from "../../operations/row-json.ts";
import { comparedRows } from "../../reconcile/compared-rows.ts";
import { nextDue } from "../../reconcile/due.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { directLink } from "../direct-link.ts";
import { runOption } from "../edge-orders.ts";
import { idParam, limit, named } from "../schemas/common.ts";
import { notAsked } from "../schemas/desks.ts";
import { comparedRowsRequest, comparedRowsSchema, reconcileRun, reconcileRunSchema, scheduleSchema } from "../schemas/reconcile.ts";

const VIEWER = { access: ["viewer"] } as const;

/** What was compared, what is to be, and the rows that differed. */
export const reconcileRecordRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/reconcile-runs",
    {
      config: VIEWER,
      schema: {
        operationId: "listReconcileRuns",
        tags: ["upkeep"],
        summary: "Comparisons of nodes with their children, newest first",
        querystring: z.strictObject({
          node: named.optional().meta({ description: "Whose records; those of all parents where it is not said." }),
          limit: limit(50, 1000),
        }),
        response: { 200: z.object({ runs: z.array(reconcileRunSchema), not_asked: notAsked }) },
      },
    },
    async ({ query }) => {
      const topology = hub.topology();
      if (query.node !== undefined) {
        // one that cannot be asked is the answer to who asks for it alone
        const node = await hub.node(nodeOf(topology, query.node).name);
        const runs = await node.reconciles.runs({ limit: query.limit });
        return { runs: runs.map((run) => reconcileRun(node.name, run)), not_asked: [] };
      }
      const { runs, failed } = await keptRuns(comparingNodes(topology), hub.node, { limit: query.limit });
      return {
        runs: runs.map(({ node, run }) => reconcileRun(node, run)),
        not_asked: failed.map(({ node, error }) => ({ node, error: errorReport(error) })),
      };
    },
  );
  server.post(
    "/v1/reconcile-runs/:id/cancel",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "cancelReconcile",
        tags: ["upkeep"],
        summary: "Give up a comparison of an edge, begun or not; what was repaired before stays so",
        description:
          "One of two databases that are reached is cancelled by closing the request, or by Ctrl-C of the command, that runs it.",
        params: idParam,
        querystring: z.strictObject({ node: named.meta({ description: "Whose records." }) }),
        response: { 200: reconcileRunSchema },
      },
    },
    async (request) => {
      const { params, query } = request;
      const topology = hub.topology();
      const node = await hub.node(nodeOf(topology, query.node).name);
      const run = await node.reconciles.find(params.id);
      if (run === null) throw unknownRun(node.name, params.id);
      if (run.state === "running" && topology.nodes.some(({ name }) => name === run.peer))
        throw runOption(`${run.peer} is reached directly`, "Close the request, or stop the command or the process, that compares it.");
      await cancelReconcile(node, { id: run.id, edge: run.peer, who: callerOf(request).name });
      return reconcileRun(node.name, (await node.reconciles.find(params.id)) ?? run);
    },
  );
  server.get(
    "/v1/reconcile-schedules",
    {
      config: VIEWER,
      schema: {
        operationId: "listReconcileSchedules",
        tags: ["upkeep"],
        summary: "When the topology has its links compared: the next time, and what came of the last",
        response: { 200: z.object({ schedules: z.array(scheduleSchema) }) },
      },
    },
    async () => {
      const topology = hub.topology();
      const parents = comparingNodes(topology);
      const told = topology.reconcile.map(async (schedule): Promise<z.output<typeof scheduleSchema>> => {
        const { name, cron, timezone, links, repair, scope } = schedule;
        const [last] = (await keptRuns(parents, hub.node, { name, limit: 1 })).runs;
        const next = nextDue(schedule, hub.timers.now());
        return {
          ...{ name, cron, timezone, repair, scope },
          links: links === "all" ? null : links.map(linkName),
          next_at: next === null ? null : new Date(next).toISOString(),
          last: last === undefined ? null : reconcileRun(last.node, last.run),
        };
      });
      return { schedules: await Promise.all(told) };
    },
  );
  server.post(
    "/v1/reconcile-rows",
    {
      config: VIEWER,
      schema: {
        operationId: "comparedRows",
        tags: ["upkeep"],
        summary: "Some rows as both ends of a link have them now, by their keys",
        body: comparedRowsRequest,
        response: { 200: comparedRowsSchema },
      },
    },
    async ({ body }) => {
      const topology = hub.topology();
      const link = directLink(topology, body.link);
      const ends = { parent: await hub.node(link.parent), child: await hub.node(link.child), link, topology };
      const rows = await comparedRows(
        ends,
        tableName(body.table),
        body.keys.map((key) => JSON.stringify(key)),
      );
      if (rows === null) {
        throw new TomboloError(`the link ${body.link} has no such table`, {
          code: "TABLE_UNKNOWN",
          kind: "usage",
          hint: "See /v1/topology.",
        });
      }
      return {
        rows: rows.map(({ parent, child, isSame }, at) => ({
          key: body.keys[at] ?? [],
          parent: shown(parent),
          child: shown(child),
          same: isSame,
        })),
      };
    },
  );
};

const unknownRun = (node: string, id: bigint): TomboloError =>
  new TomboloError(`${node} has no comparison ${id}`, { code: "RECONCILE_UNKNOWN", kind: "usage", hint: "See GET /v1/reconcile-runs." });

const shown = (found: FoundRow | null): RowJson | null => (found === null ? null : rowJson(parseRow(found.row)));
