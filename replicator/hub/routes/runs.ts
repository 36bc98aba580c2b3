import { z } from "zod";
import { tableName } from "../../change/names.ts";
import { fullSyncReport } from "../../full-sync/full-sync-report.ts";
import { beginAnew } from "../../full-sync/resync.ts";
import { directLinks, linkName } from "../../lifecycle/tree.ts";
import { DELETE_GUARD } from "../../reconcile/delete-guard.ts";
import { reconcileLinks } from "../../reconcile/reconcile-links.ts";
import { reconcileJson } from "../../reconcile/reconcile-report.ts";
import type { TopologyLink } from "../../topology/topology.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { directLink } from "../direct-link.ts";
import { edgeOfLink, type OrderedEdge, orderFullSync, orderReconcile, runOption } from "../edge-orders.ts";
import { streamRun } from "../run-stream.ts";
import { named } from "../schemas/common.ts";

const events = (description: string) => ({ 200: { description, content: { "text/event-stream": { schema: z.string() } } } });

const waited = z
  .boolean()
  .default(true)
  .meta({ description: "False: an edge is asked, and not waited for; see the records for what comes of it." });

/** Comparing and filling, now. */
export const runRoutes: RoutePlugin = (server, hub) => {
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
          links: z
            .array(named)
            .optional()
            .meta({ description: "PARENT/CHILD, edges among them; all between nodes of the topology where it is missing." }),
          tables: z.array(named).optional(),
          repair: z.enum(["report", "parent", "newest"]).default("report"),
          scope: z
            .enum(["all", "changed"])
            .default("all")
            .meta({ description: "`changed`: rows that have changed since they were last compared." }),
          pace: z.int().min(1).max(100).optional().meta({
            description: "Per cent of the time that the databases are asked something; all of it where it is missing. Not of an edge.",
          }),
          max_deletes: z
            .int()
            .min(0)
            .optional()
            .meta({ description: "Rows of a child that a repair may delete; a guard decides where it is missing. Not of an edge." }),
          wait: waited,
        }),
        response: events("What happens."),
      },
    },
    async (request, reply) => {
      const { links: names, tables, repair, scope, pace, max_deletes: maxDeletes, wait } = request.body;
      const topology = hub.topology();
      const links: TopologyLink[] = names === undefined ? [...directLinks(topology)] : [];
      const edges: OrderedEdge[] = [];
      for (const name of names ?? []) {
        const edge = await edgeOfLink(hub, topology, name);
        if (edge === undefined) links.push(directLink(topology, name));
        else edges.push(edge);
      }
      const who = callerOf(request).name;
      const unsuited = Object.entries({ tables, pace, max_deletes: maxDeletes }).flatMap(([option, value]) =>
        value === undefined ? [] : [option],
      );
      const asked: Awaited<ReturnType<typeof orderReconcile>>[] = [];
      for (const edge of edges) asked.push(await orderReconcile(hub, edge, { repair, scope, unsuited, wait, who }));
      hub.log.info({ who, links: [...links.map(linkName), ...edges.map(({ link }) => link)], repair, scope }, "a comparison was asked for");
      await streamRun(hub, { request, reply }, async ({ signal, progress, event }) => {
        const ofEdges = asked.map(async (outcome) => {
          const result = await outcome(signal);
          event("link", result);
          return result;
        });
        // awaited below, unless something else fails first
        for (const each of ofEdges) each.catch(() => undefined);
        const results = await reconcileLinks({
          name: "manual",
          topology,
          links,
          repair,
          scope,
          ...(pace !== undefined && { pace }),
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
        return { repair, scope, links: [...results.map(reconcileJson), ...(await Promise.all(ofEdges))] };
      });
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
          "Events `progress` ({phase, rows, bytes, estimated_rows, rate, seconds_left}), `note`, `differences` (what will change), and `done` or `problem`. Closing the request before the hand-over cancels it, and the tables stay as they were. An edge begins with its next exchange and does not ask back: `replace_rows` must be true, and `resume` is not for it.",
        body: z.strictObject({
          link: named.meta({ description: "PARENT/CHILD; the child may be an edge." }),
          direction: z.enum(["pull", "push"]).default("pull"),
          tables: z.array(named).optional(),
          verify: z.boolean().default(false),
          resume: z.boolean().default(false),
          backup: z.boolean().default(true).meta({ description: "Copy the file of a SQLite target first. Not of an edge." }),
          begin_anew: z.boolean().default(false).meta({
            description:
              "Let the two forget what they know of each other first, as after a restore: what `tombolo nodes resync` does. Takes `replace_rows`.",
          }),
          replace_rows: z.boolean().default(false).meta({
            description:
              "Go on although rows of the target become others or go; else such a run is cancelled once it has told of the differences.",
          }),
          max_deletes: z.int().min(0).optional().meta({
            description: "Where an edge fills the hub: so many rows of a table of the hub's may go; a guard decides where it is missing.",
          }),
          wait: waited,
        }),
        response: events("What happens."),
      },
    },
    async (request, reply) => {
      const { link: name, direction, tables, verify, resume, backup, wait } = request.body;
      const { replace_rows: mayReplace, max_deletes: maxDeletes, begin_anew: anew } = request.body;
      const topology = hub.topology();
      const who = callerOf(request).name;
      hub.log.info({ who, link: name, direction }, "a full sync was asked for");
      const edge = await edgeOfLink(hub, topology, name);
      if (edge !== undefined) {
        const unsuited = Object.entries({ resume, backup: !backup }).flatMap(([option, given]) => (given ? [option] : []));
        const order = {
          direction,
          tables: tables?.map(tableName) ?? null,
          mayReplace,
          unsuited,
          maxDeletes: maxDeletes ?? null,
          verify,
          anew,
          wait,
          who,
        };
        return orderFullSync(hub, edge, order, { request, reply });
      }
      const link = directLink(topology, name);
      if (maxDeletes !== undefined) throw runOption(`${name} is not the link of an edge: max_deletes is not for it`, "Leave it out.");
      if (anew && (resume || !mayReplace))
        throw runOption("begin_anew goes with replace_rows, and not with resume", "See docs/full-sync.md.");
      await streamRun(hub, { request, reply }, async ({ signal, progress, event }) => {
        const [parent, child] = [await hub.node(link.parent), await hub.node(link.child)];
        if (anew) {
          await beginAnew({ parent, child, link, topology });
          await parent.audit.record({ who, what: "nodes resync", details: { child: child.name, direction } });
          event("note", { text: `${parent.name} and ${child.name} have begun anew` });
        }
        return fullSyncReport(
          await hub.parts.fullSync({
            ...{ parent, child, link, topology, direction, verify, resume, signal },
            tables: tables?.map(tableName) ?? null,
            backUp: backup,
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
        );
      });
    },
  );
};
