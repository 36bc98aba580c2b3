import { z } from "zod";
import type { Topology } from "../../topology/topology.ts";
import { failure } from "./common.ts";

const channelUse = z.object({ name: z.string(), direction: z.enum(["both", "down", "up"]) });

export const topologySchema = z
  .object({
    name: z.string(),
    nodes: z.array(z.object({ name: z.string(), engine: z.enum(["postgres", "sqlite"]) })),
    links: z.array(
      z.object({
        parent: z.string(),
        child: z.string(),
        transport: z.enum(["direct", "file"]).meta({ description: "`file`: changes travel on media." }),
        channels: z.array(channelUse),
      }),
    ),
    groups: z.array(z.object({ name: z.string(), parent: z.string(), params: z.array(z.string()), channels: z.array(channelUse) })),
    channels: z.array(
      z.object({
        name: z.string(),
        tables: z.array(z.object({ name: z.string(), conflict: z.string().meta({ description: "The policy of its conflicts." }) })),
      }),
    ),
  })
  .meta({ description: "The topology as it is in force: names only, without addresses, secrets and parameters." });

/** Nothing of where a node is: addresses hold secrets. */
export const topologyOutline = ({ name, nodes, links, groups, channels }: Topology): z.output<typeof topologySchema> => ({
  name,
  nodes: nodes.map((node) => ({ name: node.name, engine: node.type })),
  links: links.map(({ parent, child, transport, channels }) => ({
    ...{ parent, child },
    transport: transport ?? "direct",
    channels: channels.map((use) => ({ ...use })),
  })),
  groups: groups.map(({ name, parent, params, channels }) => ({
    ...{ name, parent },
    params: [...params],
    channels: channels.map((use) => ({ ...use })),
  })),
  channels: channels.map(({ name, tables }) => ({
    name,
    tables: tables.map((table) => ({ name: table.name, conflict: table.policy })),
  })),
});

const finding = z.object({
  severity: z.enum(["error", "warning", "ok"]),
  code: z.string(),
  table: z.string().nullable(),
  message: z.string(),
  hint: z.string().nullable(),
});

export const planSchema = z
  .object({
    nodes: z.array(
      z.object({
        name: z.string(),
        engine: z.enum(["postgres", "sqlite"]),
        error: failure.nullable().meta({ description: "Why it cannot be planned." }),
        steps: z.array(
          z.object({
            action: z.enum(["create", "change", "drop"]),
            object: z.string(),
            sql: z.string().meta({ description: "Complete statements, which may be run by hand." }),
          }),
        ),
        findings: z.array(finding),
      }),
    ),
    first_contacts: z.array(
      z.object({
        parent: z.string(),
        child: z.string(),
        tables: z.array(
          z.object({
            table: z.string(),
            direction: z.enum(["both", "down", "up"]),
            equal: z.number(),
            differ: z.number(),
            only_parent: z.number().nullable(),
            only_child: z.number(),
            partial: z.boolean(),
          }),
        ),
      }),
    ),
  })
  .meta({ description: "What `tombolo plan --json --sql` prints." });

export const capturedTableSchema = z
  .object({
    table: z.string(),
    channel: z.string(),
    state: z.string().meta({ description: "`live`, or why not: `must_compare` and its like." }),
    reason: z.string().nullable().meta({ description: "Why it is not live: a code of docs/errors.md, or a sentence." }),
    meaning: z.string().nullable().meta({ description: "What the code means, where it is one." }),
    drift: failure.nullable().meta({ description: "How the table, or its triggers, differ now from what was installed." }),
    key: z.array(z.string()),
    columns: z.array(z.object({ name: z.string(), type: z.string(), not_null: z.boolean() })),
    references: z.array(z.object({ table: z.string(), columns: z.array(z.string()), to: z.array(z.string()) })),
    hash: z.string().meta({ description: "The same on two nodes of one engine whose tables have the same shape." }),
  })
  .meta({ description: "A table as it was installed: what its changes carry." });
