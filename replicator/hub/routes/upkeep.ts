import { z } from "zod";
import { nodeOf } from "../../lifecycle/tree.ts";
import { errorReport } from "../../observability/describe-error.ts";
import { purgeNode } from "../../operations/purge.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { failure, named } from "../schemas/common.ts";

const purged = z.object({
  node: z.string(),
  rows_before: z.number(),
  rows_after: z.number(),
  bytes_before: z.number(),
  bytes_after: z.number(),
});

/** Metrics, and cleaning up. */
export const upkeepRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/metrics",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "metrics",
        tags: ["upkeep"],
        summary: "The metrics of this process, in the Prometheus text format",
        response: { 200: { description: "Prometheus text", content: { "text/plain": { schema: z.string() } } } },
      },
    },
    async (_, reply) => {
      const { registry } = hub.metrics;
      const text = await registry.metrics();
      return reply
        .header("content-type", registry.contentType)
        .serializer(String)
        .send(text as never);
    },
  );
  server.post(
    "/v1/purge",
    {
      config: { access: ["operator"] },
      schema: {
        operationId: "purge",
        tags: ["upkeep"],
        summary: "Remove from the change logs at once what no reader needs any more, deletions among it",
        description: "This happens by itself as well, little by little. Nothing that a node or an edge has still to fetch is removed.",
        body: z.strictObject({ nodes: z.array(named).optional().meta({ description: "Only these; all where it is missing." }) }),
        response: {
          200: z.object({ purged: z.array(purged), failed: z.array(z.object({ node: z.string(), error: failure })) }),
        },
      },
    },
    async (request) => {
      const topology = hub.topology();
      const names = request.body.nodes?.map((name) => nodeOf(topology, name).name) ?? topology.nodes.map(({ name }) => name);
      const done: z.output<typeof purged>[] = [];
      const failed: { node: string; error: ReturnType<typeof errorReport> }[] = [];
      for (const name of names) {
        try {
          done.push(await purgeNode(await hub.node(name), callerOf(request).name));
        } catch (error) {
          failed.push({ node: name, error: errorReport(error) });
        }
      }
      return { purged: done, failed };
    },
  );
};
