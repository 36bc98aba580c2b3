import { z } from "zod";
import { tableName } from "../../change/names.ts";
import { reportSchema } from "../../link/report.ts";
import { RECONCILE_OUTCOMES, WHOLE_REASONS } from "../../node/reconcile-desk.ts";
import { compareAsk } from "../../reconcile/far-asks.ts";
import { holdMs } from "../../reconcile/hold-time.ts";
import { AUTOMATIC } from "../../reconcile/marks.ts";
import { type Caller, callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { EdgeCompare } from "../edge-compare.ts";
import { mustBeWanted } from "../edge-comparison.ts";
import { EdgeDesk, type EdgePlace } from "../edge-desk.ts";
import { bigNumber, named, nodeParam } from "../schemas/common.ts";

const NODE = { access: ["node"] } as const;
/** Keys of rows that look different, and a report. */
const BODY_BYTES = 8 * 2 ** 20;
const count = z.int().min(0);

const isKey = (text: string): boolean => z.array(z.string().nullable()).safeParse(jsonOf(text)).success;

const scope = z.enum(["all", "changed"]);

const finished = z.strictObject({
  state: z.enum(RECONCILE_OUTCOMES as [string, ...string[]]).transform((state) => state as (typeof RECONCILE_OUTCOMES)[number]),
  error: z.string().max(200).nullable(),
  tables: z
    .array(
      z.strictObject({
        table: z.string().min(1).max(500).transform(tableName),
        compared: count,
        differing: count,
        repaired: count,
        unsettled: count,
        parked: count,
        examples: z.array(z.string().max(2000).refine(isKey)).max(20),
        scope: scope.default("all"),
        whole: z.enum(WHOLE_REASONS).nullable().default(null),
        error: z.string().max(200).nullable(),
      }),
    )
    .max(10_000),
});

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How an edge and its hub are compared, and brought together: see docs/reconcile.md. */
export const edgeCompareRoutes: RoutePlugin = (server, hub) => {
  const desk = new EdgeDesk(hub);
  const placeOf = (caller: Caller): Promise<EdgePlace> => desk.place(caller);

  server.post(
    "/v1/nodes/:node/compare",
    {
      config: NODE,
      bodyLimit: BODY_BYTES,
      schema: {
        operationId: "compareWithEdge",
        tags: ["edges"],
        summary:
          "One question of a comparison that the edge drives: digests of ranges of keys, rows that look different, news that are under way, repairs",
        description:
          "Each is answered at a cut of its own. The hub looks up itself which tables, columns and rows are the edge's. Repairs are refreshes for this edge alone, and what gives way is in the conflict history.",
        params: nodeParam,
        querystring: z.object({
          run: bigNumber
            .transform(BigInt)
            .optional()
            .meta({ description: "Of the comparison: one that was cancelled is not answered any more." }),
        }),
        body: z.strictObject({ report: reportSchema, question: compareAsk }),
        response: { 200: z.any().meta({ description: "What was asked for." }) },
      },
    },
    async (request) => {
      const place = await placeOf(callerOf(request));
      const { report, question } = request.body;
      if (request.query.run !== undefined) await mustBeWanted(place.node, place.link.child, request.query.run);
      return new EdgeCompare(place, { topology: hub.topology(), report }).answer(question);
    },
  );
  server.post(
    "/v1/nodes/:node/reconcile-runs",
    {
      config: NODE,
      schema: {
        operationId: "beginEdgeReconcile",
        tags: ["edges"],
        summary: "Enter a comparison of this edge with its hub in the records",
        params: nodeParam,
        body: z.strictObject({
          repair: z.enum(["report", "parent", "newest"]),
          scope: scope.default("all").meta({ description: "`changed`: rows that have changed since the last comparison." }),
          automatic: z.boolean().default(false).meta({
            description: "Nobody asked for it: the edge may have missed changes. Only to a hub that lists `automatic_reconcile`.",
          }),
          asked: bigNumber
            .nullable()
            .meta({ description: "`run` of the wish in an exchange that it takes up; null where the edge itself wants it." }),
        }),
        response: {
          201: z.object({
            run: z.string(),
            hold_ms: z
              .number()
              .nullable()
              .meta({ description: "How long logs are kept for a next comparison of what has changed; null for none." }),
          }),
        },
      },
    },
    async (request, reply) => {
      const { node, link } = await placeOf(callerOf(request));
      const { repair, scope: wanted, asked, automatic } = request.body;
      if (asked !== null) await mustBeWanted(node, link.child, BigInt(asked));
      const wish = asked === null ? undefined : (await node.reconciles.requested()).get(link.child);
      // names are the hub's: of a schedule, or of a person who asks there; or for what an edge does by itself
      const taken =
        wish !== undefined && wish.id.toString() === asked
          ? { name: wish.name, asked: wish.id }
          : { name: automatic ? AUTOMATIC : "manual" };
      const id = await node.reconciles.begin({ ...taken, repair, scope: wanted, peer: link.child });
      const forMs = holdMs(hub.topology(), link, { scope: wanted, name: taken.name, nowMs: hub.timers.now() });
      return reply.code(201).send({ run: id.toString(), hold_ms: forMs });
    },
  );
  server.put(
    "/v1/nodes/:node/reconcile-runs/:run",
    {
      config: NODE,
      schema: {
        operationId: "endEdgeReconcile",
        tags: ["edges"],
        summary: "What a comparison of this edge with its hub came to",
        params: z.object({ node: named, run: bigNumber.transform(BigInt) }),
        body: finished,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { node, link, observer } = await placeOf(callerOf(request));
      const { state, tables, error } = request.body;
      const { run: id } = request.params;
      const run = await node.reconciles.find(id);
      const { reconcile, channels } = hub.topology();
      if (run?.peer === link.child && run.state === "running" && reconcile.some(({ name }) => name === run.name)) {
        const known = channels.filter(({ name }) => link.channels.some((used) => used.name === name));
        observer.compared({ name: run.name, state, tables }, new Set(known.flatMap((one) => one.tables.map((table) => table.name))));
      }
      await node.reconciles.finish(id, { state, tables, error, peer: link.child });
      for (const { table, compared, differing, repaired } of tables) {
        const code = differing > repaired ? "DRIFT_FOUND" : "DRIFT_REPAIRED";
        if (differing > 0) hub.log.warn({ edge: link.child, table, compared, differing, repaired, code }, "rows of an edge differed");
      }
      return reply.code(204).send(null);
    },
  );
};
