import { z } from "zod";
import { codeMeaning } from "../../change/error-codes.ts";
import { tableName } from "../../change/names.ts";
import { nodeOf } from "../../lifecycle/tree.ts";
import { contactsReport, firstContacts } from "../../operations/first-contacts.ts";
import { planNodes, planReport } from "../../operations/node-plans.ts";
import type { RoutePlugin } from "../context.ts";
import { reachAll } from "../reach.ts";
import { flag, named, nodeParam } from "../schemas/common.ts";
import { capturedTableSchema, planSchema, topologyOutline, topologySchema } from "../schemas/topology.ts";

const VIEWER = { access: ["viewer"] } as const;

/** What the topology file wants, and what of it the databases have. */
export const topologyRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/topology",
    {
      config: VIEWER,
      schema: {
        operationId: "topology",
        tags: ["nodes"],
        summary: "Nodes, links, groups, channels and tables of the topology in force",
        response: { 200: topologySchema },
      },
    },
    async () => topologyOutline(hub.topology()),
  );
  server.get(
    "/v1/plan",
    {
      config: VIEWER,
      schema: {
        operationId: "plan",
        tags: ["nodes"],
        summary: "What `apply` would do in each database, with the SQL, and what keeps it from doing so; changes nothing",
        querystring: z.strictObject({
          node: named.optional().meta({ description: "Only this one." }),
          first_contacts: flag("Count what the first contact of links will find where both ends hold rows; may take half a minute."),
        }),
        response: { 200: planSchema },
      },
    },
    async ({ query }) => {
      const topology = hub.topology();
      const configs = query.node === undefined ? topology.nodes : [nodeOf(topology, query.node)];
      const nodes = await reachAll(hub);
      const plans = await planNodes(topology, configs, nodes);
      const contacts = query.first_contacts ? await firstContacts(topology, nodes) : [];
      const told = { nodes: plans.map((planned) => planReport(planned, true)), first_contacts: contactsReport(contacts) };
      // the schema's types are of arrays that may be changed
      return structuredClone(told) as z.output<typeof planSchema>;
    },
  );
  server.get(
    "/v1/nodes/:node/tables",
    {
      config: VIEWER,
      schema: {
        operationId: "listTables",
        tags: ["nodes"],
        summary: "The captured tables of a node: their shapes, and which are no longer as they were installed",
        params: nodeParam,
        response: { 200: z.object({ node: z.string(), tables: z.array(capturedTableSchema) }) },
      },
    },
    async ({ params }) => {
      const node = await hub.node(nodeOf(hub.topology(), params.node).name);
      const { tables } = await node.installation.status();
      const drifts = new Map((await node.installation.verify()).map(({ table, ...drift }) => [table, drift]));
      const shapes = await node.log.shapes(tables.map(({ table }) => tableName(table)));
      return {
        node: node.name,
        tables: tables.flatMap(({ table, state, reason }, at) => {
          const shape = shapes[at];
          if (shape === undefined) return [];
          return {
            ...{ table, channel: shape.channel, state, reason },
            meaning: reason === null ? null : codeMeaning(reason),
            drift: drifts.get(table) ?? null,
            key: [...shape.key],
            columns: shape.columns.map(({ name, type, notNull }) => ({ name, type, not_null: notNull })),
            references: (shape.references ?? []).map((each) => ({ table: each.table, columns: [...each.columns], to: [...each.to] })),
            hash: shape.hash,
          };
        }),
      };
    },
  );
};
