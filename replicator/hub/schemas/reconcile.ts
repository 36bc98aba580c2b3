import { z } from "zod";
import type { ReconcileRun } from "../../node/reconcile-desk.ts";
import { moment } from "./common.ts";

const key = z.array(z.string().nullable()).meta({ description: "The texts of the key's columns, as both nodes tell them." });

export const reconcileRunSchema = z.object({
  node: z.string(),
  id: z.string(),
  name: z
    .string()
    .meta({ description: "Of the schedule; `manual` where a person asked for it, `automatic` where changes may have been missed." }),
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
      examples: z.array(key).meta({ description: "Some of the rows that differed." }),
      error: z.string().nullable(),
    }),
  ),
});

export const reconcileRun = (node: string, run: ReconcileRun): z.output<typeof reconcileRunSchema> => ({
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
  tables: run.tables.map(({ table, compared, differing, repaired, unsettled, parked, scope, whole, examples, error }) => ({
    ...{ table, compared, differing, repaired, parked, scope, whole, error },
    under_way: unsettled,
    examples: examples.map((example) => JSON.parse(example) as (string | null)[]),
  })),
});

export const scheduleSchema = z.object({
  name: z.string(),
  cron: z.string(),
  timezone: z.string(),
  links: z.array(z.string()).nullable().meta({ description: "PARENT/CHILD; null for all, edges among them." }),
  repair: z.enum(["report", "parent", "newest"]),
  scope: z.enum(["all", "changed"]),
  next_at: moment.nullable().meta({ description: "When it comes due next, while `tombolo run` replicates the topology; null for never." }),
  last: reconcileRunSchema.nullable().meta({ description: "The newest record of it." }),
});

const row = z.record(z.string(), z.unknown()).nullable();

export const comparedRowsRequest = z.strictObject({
  link: z.string().min(1).max(200).meta({ description: "PARENT/CHILD." }),
  table: z.string().min(1).max(200),
  keys: z
    .array(z.array(z.string().nullable()).min(1).max(32))
    .min(1)
    .max(20)
    .meta({ description: "As `examples` of a comparison gives them." }),
});

export const comparedRowsSchema = z.object({
  rows: z.array(
    z.object({
      key,
      parent: row.meta({ description: "As the parent has it; null where it has none." }),
      child: row.meta({ description: "As the child has it." }),
      same: z.boolean(),
    }),
  ),
});
