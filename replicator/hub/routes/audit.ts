import { z } from "zod";
import { hubOf, nodeOf } from "../../lifecycle/tree.ts";
import type { RoutePlugin } from "../context.ts";
import { auditSchema } from "../schemas/audit.ts";
import { beforeId, limit, named, page } from "../schemas/common.ts";

/** Who did what. */
export const auditRoutes: RoutePlugin = (server, { topology, node }) => {
  server.get(
    "/v1/audit",
    {
      config: { access: ["admin"] },
      schema: {
        operationId: "listAudit",
        tags: ["rights"],
        summary: "What people and tokens did, newest first",
        querystring: z.strictObject({
          limit: limit(100, 1000),
          before: beforeId,
          node: named.optional().meta({ description: "Whose audit trail; the hub's where it is not said." }),
          who: named.optional(),
          what: named.optional().meta({ examples: ["token revoked", "conflict resolved"] }),
        }),
        response: { 200: z.object({ node: z.string(), entries: z.array(auditSchema), next: z.string().nullable() }) },
      },
    },
    async ({ query }) => {
      const { before, who, what } = query;
      const { name } = query.node === undefined ? hubOf(topology()) : nodeOf(topology(), query.node);
      const records = await (await node(name)).audit.list({
        limit: query.limit + 1,
        ...(before === undefined ? {} : { before }),
        ...(who === undefined ? {} : { who }),
        ...(what === undefined ? {} : { what }),
      });
      const { shown, next } = page(records, query.limit);
      return {
        node: name,
        entries: shown.map((entry) => ({
          ...entry,
          id: entry.id.toString(),
          details: entry.details === null ? null : { ...entry.details },
        })),
        next,
      };
    },
  );
};
