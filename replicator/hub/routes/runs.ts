import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import { tableName } from "../../change/names.ts";
import { fullSyncReport } from "../../full-sync/full-sync-report.ts";
import { directLinks, linkName, nodeOf } from "../../lifecycle/tree.ts";
import type { FullSyncRun } from "../../node/full-sync-runs.ts";
import type { ReconcileRun } from "../../node/reconcile-desk.ts";
import { DELETE_GUARD } from "../../reconcile/delete-guard.ts";
import { reconcileLinks } from "../../reconcile/reconcile-links.ts";
import { reconcileJson } from "../../reconcile/reconcile-report.ts";
import type { Topology, TopologyLink } from "../../topology/topology.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { streamRun } from "../run-stream.ts";
import { limit, moment, named } from "../schemas/common.ts";

const events = (description: string) => ({ 200: { description, content: { "text/event-stream": { schema: z.string() } } } });

const reconcileRunSchema = z.object({
  node: z.string(),
  id: z.string(),
  name: z.string().meta({ description: "Of the schedule; `manual` where a person asked for it." }),
  peer: z.string(),
  repair: z.string(),
  scope: z.string().meta({ description: "`all`, or `changed`: rows that have changed since they were last compared." }),
  state: z.string(),
  started_at: moment,
  finished_at: moment.nullable(),
  error: z.string().nullable(),
  tables: z.array(
    z.object({
      table: z.string(),
      compared: z.number(),
      differing: z.number(),
      repaired: z.number(),
      under_way: z.number(),
      parked: z.number(),
      scope: z.string(),
      whole: z.string().nullable().meta({ description: "Why all rows were compared although the changes were asked for." }),
      error: z.string().nullable(),
    }),
  ),
});

const fullSyncRunSchema = z.object({
  node: z.string(),
  id: z.string(),
  peer: z.string(),
  side: z.enum(["source", "target"]),
  direction: z.enum(["pull", "push"]),
  state: z.string(),
  phase: z.string(),
  tables: z.array(z.string()),
  rows: z.number(),
  bytes: z.number(),
  estimated_rows: z.number(),
  holder: z.string(),
  started_at: moment,
  finished_at: moment.nullable(),
  error: z.string().nullable(),
});

const ofNode = z.strictObject({ node: named.meta({ description: "Whose records." }), limit: limit(50, 1000) });

/** Comparing and filling: what was done, and doing it now. */
export const runRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/reconcile-runs",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "listReconcileRuns",
        tags: ["upkeep"],
        summary: "Comparisons of a node with its children, newest first",
        querystring: ofNode,
        response: { 200: z.object({ runs: z.array(reconcileRunSchema) }) },
      },
    },
    async ({ query }) => {
      const node = await hub.node(nodeOf(hub.topology(), query.node).name);
      const runs = await node.reconciles.runs({ limit: query.limit });
      return { runs: runs.map((run) => reconcileRun(node.name, run)) };
    },
  );
  server.post(
    "/v1/reconcile",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "reconcile",
        tags: ["upkeep"],
        summary: "Compare both ends of links now, and repair at will: server-sent events",
        description:
          "Events `progress` ({link, table, rows}), `link` for each that was compared (as `tombolo reconcile --json` has it), and `done` or `problem`. Closing the request cancels the run.",
        body: z.strictObject({
          links: z.array(named).optional().meta({ description: "PARENT/CHILD; all where it is missing." }),
          tables: z.array(named).optional(),
          repair: z.enum(["report", "parent", "newest"]).default("report"),
          scope: z
            .enum(["all", "changed"])
            .default("all")
            .meta({ description: "`changed`: rows that have changed since they were last compared." }),
          max_deletes: z
            .int()
            .min(0)
            .optional()
            .meta({ description: "Rows of a child that a repair may delete; a guard decides where it is missing." }),
        }),
        response: events("What happens."),
      },
    },
    async (request, reply) => {
      const { links: names, tables, repair, scope, max_deletes: maxDeletes } = request.body;
      const topology = hub.topology();
      const links = names === undefined ? directLinks(topology) : names.map((name) => directLink(topology, name));
      hub.log.info({ who: callerOf(request).name, links: links.map(linkName), repair, scope }, "a comparison was asked for");
      await streamRun(hub, { request, reply }, async ({ signal, progress, event }) => {
        const results = await reconcileLinks({
          name: "manual",
          topology,
          links,
          repair,
          scope,
          tables: tables?.map(tableName) ?? null,
          guard: maxDeletes === undefined ? DELETE_GUARD : { maxRows: maxDeletes, maxPercent: 100 },
          node: hub.node,
          // whoever replicates carries what is repaired
          carry: async () => undefined,
          signal,
          sleep: hub.timers.sleep,
          now: hub.timers.now,
          onProgress: ({ parent, child }, table, rows) => progress({ link: `${parent.name}/${child.name}`, table, rows }),
          onReport: (result) => event("link", reconcileJson(result)),
        });
        return { repair, scope, links: results.map(reconcileJson) };
      });
    },
  );
  server.get(
    "/v1/full-sync-runs",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "listFullSyncRuns",
        tags: ["upkeep"],
        summary: "Full syncs that a node is or was part of, newest first",
        querystring: ofNode,
        response: { 200: z.object({ runs: z.array(fullSyncRunSchema) }) },
      },
    },
    async ({ query }) => {
      const node = await hub.node(nodeOf(hub.topology(), query.node).name);
      return { runs: (await node.copies.runs.list(query.limit)).map((run) => fullSyncRun(node.name, run)) };
    },
  );
  server.post(
    "/v1/full-sync",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "fullSync",
        tags: ["upkeep"],
        summary: "Make a node a copy of its neighbour: server-sent events",
        description:
          "Events `progress` ({phase, rows, bytes, estimated_rows, rate, seconds_left}), `note`, `differences` (what will change), and `done` or `problem`. Closing the request before the hand-over cancels it, and the tables stay as they were.",
        body: z.strictObject({
          link: named.meta({ description: "PARENT/CHILD." }),
          direction: z.enum(["pull", "push"]).default("pull"),
          tables: z.array(named).optional(),
          verify: z.boolean().default(false),
          resume: z.boolean().default(false),
          replace_rows: z.boolean().default(false).meta({
            description:
              "Go on although rows of the target become others or go; else such a run is cancelled once it has told of the differences.",
          }),
        }),
        response: events("What happens."),
      },
    },
    async (request, reply) => {
      const { link: name, direction, tables, verify, resume, replace_rows: mayReplace } = request.body;
      const topology = hub.topology();
      const link = directLink(topology, name);
      hub.log.info({ who: callerOf(request).name, link: name, direction }, "a full sync was asked for");
      await streamRun(hub, { request, reply }, async ({ signal, progress, event }) =>
        fullSyncReport(
          await hub.parts.fullSync({
            parent: await hub.node(link.parent),
            child: await hub.node(link.child),
            ...{ link, topology, direction, verify, resume, signal },
            tables: tables?.map(tableName) ?? null,
            backUp: true,
            watcher: {
              progress: ({ phase, rows, bytes, estimatedRows, rate, secondsLeft }) =>
                progress({ phase, rows, bytes, estimated_rows: estimatedRows, rate, seconds_left: secondsLeft }),
              note: (text) => event("note", { text }),
              async goAhead(differences) {
                event("differences", { tables: differences });
                return mayReplace || differences.every(({ changed, removed }) => changed + removed === 0);
              },
            },
          }),
        ),
      );
    },
  );
};

function directLink(topology: Topology, name: string): TopologyLink {
  const links = directLinks(topology);
  const link = links.find((each) => linkName(each) === name);
  if (link !== undefined) return link;
  throw new TomboloError(`the topology has no link ${name} of which both ends are reached`, {
    code: "LINK_UNKNOWN",
    kind: "usage",
    hint: `Its links are ${links.map(linkName).join(", ")}.`,
  });
}

const reconcileRun = (node: string, run: ReconcileRun): z.output<typeof reconcileRunSchema> => ({
  node,
  id: run.id.toString(),
  name: run.name,
  peer: run.peer,
  repair: run.repair,
  scope: run.scope,
  state: run.state,
  started_at: run.startedAt,
  finished_at: run.finishedAt,
  error: run.error,
  tables: run.tables.map(({ table, compared, differing, repaired, unsettled, parked, scope, whole, error }) => ({
    ...{ table, compared, differing, repaired, parked, scope, whole, error },
    under_way: unsettled,
  })),
});

const fullSyncRun = (node: string, run: FullSyncRun): z.output<typeof fullSyncRunSchema> => ({
  node,
  id: run.id.toString(),
  peer: run.peer,
  side: run.side,
  direction: run.direction,
  state: run.state,
  phase: run.phase,
  tables: [...run.tables],
  rows: run.rows,
  bytes: run.bytes,
  estimated_rows: run.estimatedRows,
  holder: run.holder,
  started_at: run.startedAt,
  finished_at: run.finishedAt,
  error: run.error,
});
