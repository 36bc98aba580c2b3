import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import { tableName } from "../../change/names.ts";
import { nodeOf } from "../../lifecycle/tree.ts";
import type { Node } from "../../node/node.ts";
import type { ParkedDetails, ParkedRecord } from "../../node/parked-desk.ts";
import { errorReport } from "../../observability/describe-error.ts";
import { parkedDetailsReport, parkedReport } from "../../operations/parked-report.ts";
import { cameOver, retryOverLink } from "../../operations/parked-retry.ts";
import { callerOf } from "../caller.ts";
import type { HubContext, RoutePlugin } from "../context.ts";
import { reachAll } from "../reach.ts";
import { bigNumber, limit, named } from "../schemas/common.ts";
import { notAsked, parkedDetailsSchema, parkedSchema } from "../schemas/desks.ts";

const place = z.object({ node: named, id: bigNumber.transform(BigInt) });

/** Changes that nodes have set aside. */
export const parkedRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/parked",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "listParked",
        tags: ["parked changes"],
        summary: "Changes that nodes have set aside because their database refuses them, oldest first",
        querystring: z.strictObject({
          node: named.optional().meta({ description: "Only those that this node keeps." }),
          table: named.optional(),
          limit: limit(50, 1000).meta({ description: "At most so many of each node." }),
          after: bigNumber.transform(BigInt).optional().meta({ description: "With `node`: only those with a larger id, the next page." }),
        }),
        response: {
          200: z.object({
            parked: z.array(parkedSchema),
            more: z.array(z.string()).meta({ description: "Nodes that have more." }),
            not_asked: notAsked,
          }),
        },
      },
    },
    async ({ query }) => {
      if (query.node !== undefined) nodeOf(hub.topology(), query.node);
      const reached = [...(await reachAll(hub))].filter(([name]) => query.node === undefined || name === query.node);
      const filter = {
        limit: query.limit + 1,
        ...(query.table === undefined ? {} : { table: tableName(query.table) }),
        ...(query.after === undefined ? {} : { after: query.after }),
      };
      const failed: { node: string; error: ReturnType<typeof errorReport> }[] = [];
      const found: { node: Node["name"]; records: readonly ParkedRecord[] }[] = [];
      for (const [name, each] of reached) {
        try {
          if (!("node" in each)) throw each.error;
          found.push({ node: name, records: await each.node.parked.list(filter) });
        } catch (error) {
          failed.push({ node: name, error: errorReport(error) });
        }
      }
      return {
        parked: found.flatMap(({ node, records }) => records.slice(0, query.limit).map((record) => parkedReport(node, record))),
        more: found.filter(({ records }) => records.length > query.limit).map(({ node }) => node),
        not_asked: failed,
      };
    },
  );
  server.get(
    "/v1/parked/:node/:id",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "showParked",
        tags: ["parked changes"],
        summary: "A parked change: the row at both ends, why it was refused, and which rows are in the way",
        params: place,
        response: { 200: parkedDetailsSchema },
      },
    },
    async ({ params }) => {
      const { node, details } = await find(hub, params);
      return parkedDetailsReport(node.name, details);
    },
  );
  server.post(
    "/v1/parked/:node/:id/retry",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "retryParked",
        tags: ["parked changes"],
        summary: "Try a parked change again at once",
        params: place,
        response: { 200: z.object({ went_through: z.boolean(), parked: parkedSchema }) },
      },
    },
    async ({ params }) => {
      const { node, details } = await find(hub, params);
      const kept = { node: node.name, record: details.record };
      const topology = hub.topology();
      const link = topology.links.find((each) => cameOver(each, kept));
      if (link === undefined) throw comesByItself(details.record.peer);
      await retryOverLink({ topology, reach: hub.node, createLink: hub.parts.createLink, log: hub.log }, link, [kept]);
      const after = await node.parked.show(params.id);
      return { went_through: after === null, parked: parkedReport(node.name, after?.record ?? details.record) };
    },
  );
  server.delete(
    "/v1/parked/:node/:id",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "discardParked",
        tags: ["parked changes"],
        summary: "Give a parked change up: a child's goes into the conflict history, of the parent's the row is asked for anew",
        params: place,
        response: { 200: z.object({ parked: parkedSchema, asked_for: z.boolean() }) },
      },
    },
    async (request) => {
      const { node } = await find(hub, request.params);
      const { record, wanted } = await node.parked.discard(request.params.id, { who: callerOf(request).name });
      return { parked: parkedReport(node.name, record), asked_for: wanted.length > 0 };
    },
  );
};

async function find(
  hub: HubContext,
  { node: name, id }: { readonly node: string; readonly id: bigint },
): Promise<{ node: Node; details: ParkedDetails }> {
  const node = await hub.node(nodeOf(hub.topology(), name).name);
  const details = await node.parked.show(id);
  if (details !== null) return { node, details };
  throw new TomboloError(`${name} has no parked change ${id}`, {
    code: "PARKED_UNKNOWN",
    kind: "usage",
    hint: "See /v1/parked; it may have gone through meanwhile.",
  });
}

const comesByItself = (edge: string): TomboloError =>
  new TomboloError(`${edge} is an edge: its changes are tried again when it comes`, {
    code: "PARKED_OF_EDGE",
    kind: "operator",
    hint: "Wait for its next exchange, or discard the change.",
  });
