import { z } from "zod";
import type { FullSyncRun } from "../../node/full-sync-runs.ts";
import { moment } from "./common.ts";

export const fullSyncRunSchema = z.object({
  node: z.string(),
  id: z.string(),
  peer: z.string(),
  side: z.enum(["source", "target"]),
  direction: z.enum(["pull", "push"]),
  state: z.string(),
  phase: z.string(),
  tables: z.array(z.string()),
  rows: z.number(),
  bytes: z.number(),
  estimated_rows: z.number(),
  verify: z.boolean().meta({ description: "Both sides are to be compared afterwards." }),
  differing: z.number().nullable().meta({ description: "How many rows differed then; null where they were not compared." }),
  holder: z.string(),
  started_at: moment,
  finished_at: moment.nullable(),
  error: z.string().nullable(),
});

export const fullSyncRun = (node: string, run: FullSyncRun): z.output<typeof fullSyncRunSchema> => ({
  node,
  id: run.id.toString(),
  peer: run.peer,
  side: run.side,
  direction: run.direction,
  state: run.state,
  phase: run.phase,
  tables: [...run.tables],
  rows: run.rows,
  bytes: run.bytes,
  estimated_rows: run.estimatedRows,
  verify: run.terms.verify === true,
  differing: run.differing,
  holder: run.holder,
  started_at: run.startedAt,
  finished_at: run.finishedAt,
  error: run.error,
});
