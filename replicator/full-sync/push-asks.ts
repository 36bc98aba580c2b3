import { z } from "zod";
import { epoch, position, type TableName, tableName } from "../change/names.ts";
import { shapeSchema } from "../change/packet-header.ts";
import { receiptSchema } from "../link/receipts.ts";
import { reportSchema } from "../link/report.ts";
import type { Staged, TableDifference } from "../node/full-copy.ts";

const name = z.string().min(1).max(500);
const count = z.int().min(0);
const digits = z.string().regex(/^(0|[1-9]\d{0,18})$/);
const place = digits.transform((text) => position(text));
const shapes = z
  .array(shapeSchema)
  .min(1)
  .max(10_000)
  .meta({ description: "The tables as the edge has them, as in the header of a packet." });

/** What an edge and its hub say to each other while the hub takes over what the edge has. */
export const pushBegin = z.strictObject({
  tables: z.array(name).min(1).max(10_000),
  resume: z.boolean().default(false),
  report: reportSchema,
});
export const pushBegun = z.object({
  run: z.string(),
  resumed: z.boolean(),
  position: digits.meta({ description: "Where the hub's own log stands." }),
});

export const stageBody = z.strictObject({ shapes });
export const stagedAnswer = z.object({ table: name, up_to: z.string().nullable(), done: z.boolean(), rows: count, bytes: count });
export const stageAnswer = z.object({
  position: digits.nullable().meta({ description: "The edge's tick that everything staged is of; null before the first." }),
  tables: z.array(stagedAnswer),
});

/** Before the rows of a chunk. `after` and `up_to` mean something to the edge alone; `after` is where the table must be. */
export const pushedChunk = z.strictObject({
  shapes,
  table: name.transform(tableName),
  after: z.string().nullable(),
  up_to: z.string().nullable(),
});

/** Before, for each of `changed`, its keys and its rows: what is staged is taken over to this position. */
export const pushedChanges = z.strictObject({
  shapes,
  position: place,
  changed: z.array(name.transform(tableName)),
  anew: z.array(name.transform(tableName)),
});

export const pushHandOver = z.strictObject({
  shapes,
  report: reportSchema,
  epoch: name.transform(epoch).meta({ description: "Of the edge's database." }),
  position: place.meta({ description: "Of what is staged." }),
  seen: z
    .array(z.tuple([name, place]))
    .max(1000)
    .meta({ description: "By channel: how far the edge had received the hub at that position." }),
  number: digits.nullable().meta({ description: "Of the packet that it is to the hub: the one after the last; null to count only." }),
});

export const differencesAnswer = z.object({
  differences: z.array(z.object({ table: name, added: count, changed: count, removed: count, kept: count })),
});
export const handedOverAnswer = z.object({ receipt: receiptSchema });

export const differenceOf = ({ table, ...counts }: z.output<typeof differencesAnswer>["differences"][number]): TableDifference => ({
  ...counts,
  table: tableName(table),
});

/** How far a table is, as JSON. */
export const stagedJson = (table: TableName, { upTo, done, rows, bytes }: Staged): z.output<typeof stagedAnswer> => ({
  table,
  up_to: upTo,
  done,
  rows,
  bytes,
});

export const stagedOf = ({ up_to: upTo, done, rows, bytes }: z.output<typeof stagedAnswer>): Staged => ({ upTo, done, rows, bytes });
