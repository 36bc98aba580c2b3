import { z } from "zod";
import { CONFLICT_KINDS } from "../../change/verdict.ts";
import { failure, moment } from "./common.ts";

/** A row as JSON: text and null; numbers as text with all their digits, blobs as `{"b": hex}`. */
const row = z.record(z.string(), z.unknown());

export const conflictSchema = z
  .object({
    node: z.string().meta({ description: "Which decided it." }),
    id: z.string(),
    detected_at: moment,
    table: z.string(),
    key: row,
    kind: z.string(),
    child: z.string().meta({ description: "Whose change it was." }),
    policy: z.string(),
    resolution: z.string(),
    reason: z.string(),
    columns: z.array(z.string()).nullable().meta({ description: "The contested ones; null where it is the row as a whole." }),
    parent_row: row.nullable(),
    child_row: row.nullable(),
    base_row: row.nullable(),
    result_row: row.nullable(),
    parent_changed_at: moment.nullable(),
    child_changed_at: moment.nullable(),
    status: z.enum(["open", "resolved"]),
    resolved_by: z.string().nullable(),
    resolved_at: moment.nullable(),
  })
  .meta({ description: "A conflict with every version of its row." });

export const shownConflictSchema = z.object({
  conflict: conflictSchema,
  now: row.nullable().meta({ description: "The row as it is now; null where there is none." }),
  now_error: failure.nullable(),
  differing: z.array(z.string()),
});

export const conflictKind = z.enum(CONFLICT_KINDS);

export const decisionSchema = z
  .strictObject({
    take: z.enum(["parent", "child", "base"]).optional().meta({ description: "Whose version the contested columns, or the row, become." }),
    set: z
      .record(z.string(), z.string().nullable())
      .optional()
      .meta({ description: "Columns and their values as text, null for NULL; the others stay as they are." }),
  })
  .refine(({ take, set }) => (take === undefined) !== (set === undefined), { error: "give either take or set" })
  .meta({ description: "Either `take` or `set`." });

export const proposalSchema = z
  .strictObject({
    take: z.enum(["parent", "child", "base"]).optional(),
    set: z.record(z.string(), z.string().nullable()).optional(),
    merge: z.literal(true).optional().meta({
      description: "Both sides' edits in one, column by column: as the topology says, else text as `text` and JSON as `json`.",
    }),
  })
  .refine(({ take, set, merge }) => [take, set, merge].filter((given) => given !== undefined).length === 1, {
    error: "give one of take, set and merge",
  })
  .meta({ description: "One of `take`, `set` (as for deciding) and `merge`." });

export const previewSchema = z.object({
  decision: z
    .object({ take: z.enum(["parent", "child", "base"]) })
    .or(z.object({ set: z.record(z.string(), z.string().nullable()) }))
    .nullable()
    .meta({ description: "What to decide for it to become so; null where nothing could be merged." }),
  row: row.nullable().meta({ description: "What the row would be; null for none." }),
  changed: z.array(z.string()).meta({ description: "Columns in which that is not what it is now." }),
  merged: z
    .array(
      z.object({
        column: z.string(),
        kind: z.string().nullable().meta({ description: "How; null where there is no way to." }),
        overlap: z.string().nullable().meta({ description: "Why the two edits do not go together; null where they do." }),
      }),
    )
    .meta({ description: "Of a merge: the contested columns." }),
});

export const parkedSchema = z
  .object({
    node: z.string().meta({ description: "Which keeps it." }),
    id: z.string(),
    peer: z.string().meta({ description: "Whose change it is." }),
    role: z.enum(["parent", "child"]).meta({ description: "What the peer is to the node." }),
    table: z.string(),
    op: z.string(),
    key: row,
    old: row.nullable(),
    new: row.nullable(),
    code: z.string(),
    reason: z.string(),
    attempts: z.int(),
    changed_at: moment,
    parked_at: moment,
    tried_at: moment,
  })
  .meta({ description: "A change that was set aside because the database, or a rule, refuses it." });

export const parkedDetailsSchema = z.object({
  parked: parkedSchema,
  now: row.nullable().meta({ description: "The row as it is here." }),
  theirs: row.nullable().meta({ description: "The row as its sender has it." }),
  in_the_way: z.array(
    z.object({
      kind: z.enum(["taken", "missing", "referred"]),
      constraint: z.string(),
      columns: z.array(z.string()),
      table: z.string(),
      row,
      parked: z.string().nullable(),
    }),
  ),
});

export const notAsked = z
  .array(z.object({ node: z.string(), error: failure }))
  .meta({ description: "Nodes that could not be asked, and why." });
