import { z } from "zod";
import { failure, moment } from "./common.ts";

const waiting = z.object({
  code: z.string(),
  changes: z.int(),
  oldest: z.object({ id: z.string().nullable(), table: z.string(), op: z.string(), reason: z.string(), parked_at: moment }),
});

const direction = z.object({
  pending_changes: z.int().nullable().meta({ description: "Null until the target has acknowledged anything." }),
  lag_seconds: z
    .number()
    .nullable()
    .meta({ description: "Age of the oldest change that the target is not known to have; 0 when there is none." }),
  packets_sent: z.string().nullable(),
  packets_acknowledged: z.string().nullable(),
});

const fullSync = z.object({
  source: z.string(),
  direction: z.enum(["pull", "push"]),
  state: z.string(),
  phase: z.string(),
  rows: z.number(),
  estimated_rows: z.number(),
  differing: z
    .number()
    .nullable()
    .meta({ description: "How many rows differed when both sides were compared afterwards; null where they were not." }),
  bytes: z.number(),
  started_at: moment,
  finished_at: moment.nullable(),
  holder: z.string(),
  error: z.string().nullable(),
});

export const nodeStatusSchema = z.object({
  name: z.string(),
  engine: z.enum(["postgres", "sqlite"]),
  state: z.enum(["up", "not_ready", "down"]),
  error: failure.nullable(),
  version: z.string().nullable(),
  epoch: z.string().nullable(),
  clock_offset_ms: z.number().nullable(),
  log_rows: z.number().nullable(),
  log_bytes: z.number().nullable(),
  conflicts_open: z.int().nullable(),
  parked_changes: z.int().nullable(),
  revision: z
    .string()
    .nullable()
    .meta({ description: "Another one whenever a conflict, a parked change, a comparison or an entry of the audit trail has been added." }),
  drift: z.array(z.object({ table: z.string(), state: z.string(), reason: z.string().nullable() })),
  full_sync: fullSync.nullable().meta({ description: "The newest full sync that the node was the target of." }),
});

export const linkStatusSchema = z.object({
  parent: z.string(),
  child: z.string(),
  state: z.string().meta({
    description:
      "joining, snapshot, live, lagging, must_resync, paused; down when an end cannot be reached, new before the first exchange.",
  }),
  reason: z.string().nullable(),
  last_in: moment.nullable(),
  last_out: moment.nullable(),
  up: direction,
  down: direction,
  conflicts_open: z.int().nullable(),
  parked_changes: z.int().nullable(),
  parked_at_parent: z.array(waiting),
  parked_at_child: z.array(waiting),
  refused_changes: z.int().nullable(),
  refused: z.array(waiting),
});

export const edgeStatusSchema = z.object({
  edge: z.string(),
  parent: z.string(),
  state: z.string(),
  reason: z.string().nullable(),
  last_in: moment.nullable(),
  last_out: moment.nullable(),
  pending_changes: z
    .int()
    .nullable()
    .meta({ description: "Changes that wait to be fetched by it; null until it has acknowledged anything." }),
  packets_sent: z.string(),
  packets_received: z.string(),
  conflicts_open: z.int(),
  parked_changes: z.int(),
  clock_offset_ms: z.number().nullable(),
  asked: z
    .array(
      z.object({
        what: z.enum(["full_sync", "reconcile"]),
        run: z.string().meta({ description: "As the records of full syncs or comparisons count it, where it may be cancelled." }),
        since: moment,
        how: z.string().meta({ description: "Of a full sync: which way; of a comparison: what becomes of what differs." }),
      }),
    )
    .meta({ description: "What it was asked to do when it next comes, and has not begun." }),
  full_sync: fullSync
    .nullable()
    .meta({ description: "The newest full sync that filled it, where it is among the last ones of its parent." }),
});

export const statusSchema = z
  .object({
    topology: z.string(),
    at: moment,
    nodes: z.array(nodeStatusSchema),
    links: z.array(linkStatusSchema),
    edges: z.array(edgeStatusSchema).meta({ description: "Edges that have come, as their parents see them." }),
  })
  .meta({ description: "What `tombolo status --json` prints." });

export const listedNodeSchema = z.object({
  name: z.string(),
  kind: z.enum(["node", "edge"]).meta({ description: "A `node` is reached by the replicator; an `edge` comes by itself." }),
  engine: z.enum(["postgres", "sqlite"]).nullable().meta({ description: "Null for an edge." }),
  parent: z.string().nullable().meta({ description: "Null for the hub." }),
  group: z.string().nullable(),
  params: z.record(z.string(), z.string()),
  state: z.string().meta({ description: "As in `status`; `enrolled` for an edge that has not exchanged anything yet." }),
  version: z.string().nullable().meta({ description: "Of an edge: what it runs, where it has come to this process." }),
  last_seen_at: moment.nullable().meta({ description: "Of an edge: when its token was last used, to the minute." }),
});
