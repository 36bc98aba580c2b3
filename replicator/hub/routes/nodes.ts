import { z } from "zod";
import { nodeName } from "../../change/names.ts";
import { collectStatus, type StatusReport } from "../../observability/status-report.ts";
import { setPaused } from "../../operations/pause.ts";
import { callerOf } from "../caller.ts";
import type { HubContext, RoutePlugin } from "../context.ts";
import { reachAll } from "../reach.ts";
import { nodeParam } from "../schemas/common.ts";
import { edgeStatusSchema, linkStatusSchema, listedNodeSchema, statusSchema } from "../schemas/status.ts";

const VIEWER = { access: ["viewer"] } as const;
const OPERATOR = { access: ["operator"] } as const;

type ListedNode = z.output<typeof listedNodeSchema>;

/** What the command line asks with `status`, `nodes list`, `nodes pause` and `nodes resume`. */
export const nodeRoutes: RoutePlugin = (server, hub) => {
  const status = async (): Promise<StatusReport> => collectStatus(hub.topology(), await reachAll(hub), hub.timers.now, hub.lag);

  server.get(
    "/v1/status",
    {
      config: VIEWER,
      schema: { operationId: "status", tags: ["nodes"], summary: "How all nodes, links and edges are", response: { 200: statusSchema } },
    },
    async () => copied(await status()),
  );
  server.get(
    "/v1/nodes",
    {
      config: VIEWER,
      schema: {
        operationId: "listNodes",
        tags: ["nodes"],
        summary: "The nodes of the topology and the edges that have enrolled",
        response: { 200: z.object({ nodes: z.array(listedNodeSchema) }) },
      },
    },
    async () => ({ nodes: await listNodes(hub, await status()) }),
  );
  server.get(
    "/v1/links",
    {
      config: VIEWER,
      schema: {
        operationId: "listLinks",
        tags: ["nodes"],
        summary: "The links of the topology and the edges below them, with what waits in each direction",
        response: { 200: z.object({ links: z.array(linkStatusSchema), edges: z.array(edgeStatusSchema) }) },
      },
    },
    async () => {
      const { links, edges } = copied(await status());
      return { links, edges };
    },
  );
  for (const [action, paused] of [
    ["pause", true],
    ["resume", false],
  ] as const) {
    server.post(
      `/v1/nodes/:node/${action}`,
      {
        config: OPERATOR,
        schema: {
          operationId: `${action}Node`,
          tags: ["nodes"],
          summary: paused
            ? "Stop the exchange between a node, or an edge, and its parent; changes are kept until it is resumed"
            : "Go on exchanging between a node, or an edge, and its parent",
          params: nodeParam,
          response: { 200: z.object({ node: z.string(), parent: z.string(), paused: z.boolean() }) },
        },
      },
      async (request) => {
        const { node } = request.params;
        const world = { topology: hub.topology(), reach: hub.node, tokens: hub.tokens };
        const parent = await setPaused(world, { name: node, paused, who: callerOf(request).name });
        return { node, parent, paused };
      },
    );
  }
};

async function listNodes(hub: HubContext, report: StatusReport): Promise<ListedNode[]> {
  const { groups } = hub.topology();
  const nodes = report.nodes.map(({ name, engine, state }): ListedNode => {
    const link = report.links.find(({ child }) => child === name);
    const shown = state === "up" ? (link?.state ?? "live") : state;
    return {
      name,
      kind: "node",
      engine,
      parent: link?.parent ?? null,
      group: null,
      params: {},
      state: shown,
      version: null,
      last_seen_at: null,
    };
  });
  const tokens = await (await hub.tokens()).list({ role: "node", inForce: true, limit: MOST_EDGES });
  const enrolled = new Map(tokens.filter(({ kind }) => kind === "token").map((token) => [token.node ?? nodeName(""), token]));
  const names = new Set<string>([...enrolled.keys(), ...report.edges.map(({ edge }) => edge)]);
  const edges = [...names].sort().map((name): ListedNode => {
    const token = enrolled.get(nodeName(name));
    const met = report.edges.find(({ edge }) => edge === name);
    const group = groups.find((each) => each.name === token?.group);
    return {
      name,
      kind: "edge",
      engine: null,
      parent: met?.parent ?? group?.parent ?? null,
      group: token?.group ?? null,
      params: { ...token?.params },
      state: met?.state ?? "enrolled",
      version: hub.edgeVersions.of(nodeName(name)),
      last_seen_at: token?.lastUsedAt ?? null,
    };
  });
  return [...nodes, ...edges];
}

const MOST_EDGES = 100_000;

/** The schema's types are of arrays that may be changed. */
const copied = (report: StatusReport): z.output<typeof statusSchema> => structuredClone(report) as z.output<typeof statusSchema>;
