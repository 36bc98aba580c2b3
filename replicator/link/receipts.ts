import { z } from "zod";
import { packetNumber, tableName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";

const count = z.int().min(0);

/** A receipt as JSON. */
export const receiptSchema = z
  .object({
    number: z.string().regex(/^\d{1,19}$/),
    digest: z.string(),
    duplicate: z.boolean().meta({ description: "This very packet had been applied before: it is the answer of then." }),
    applied: z.object({ insert: count, update: count, delete: count, truncate: count, refresh: count }),
    conflicts: z.array(z.object({ table: z.string(), kind: z.string(), resolution: z.string(), count })),
    parked: count.meta({ description: "Changes that were set aside." }),
    wanted: z.array(z.object({ table: z.string(), key: z.string() })).meta({ description: "Rows that are to be sent as they are now." }),
  })
  .meta({ description: "What became of a packet." });

export type ReceiptJson = z.output<typeof receiptSchema>;

export const receiptJson = ({ number, wanted, conflicts, ...receipt }: Receipt): ReceiptJson => ({
  ...receipt,
  number: number.toString(),
  conflicts: [...conflicts],
  wanted: [...wanted],
});

export const receiptOf = ({ number, wanted, conflicts, ...receipt }: ReceiptJson): Receipt => ({
  ...receipt,
  number: packetNumber(number),
  conflicts: conflicts.map((conflict) => ({ ...conflict, table: tableName(conflict.table) })),
  wanted: wanted.map(({ table, key }) => ({ table: tableName(table), key })),
});

/** What several packets came to. */
export interface Sum {
  readonly changes: number;
  readonly conflicts: number;
  /** Of the conflicts, those that wait for a person. */
  readonly open: number;
  readonly parked: number;
  readonly wanted: number;
}

export function sumOf(receipts: readonly Receipt[]): Sum {
  const sum = { changes: 0, conflicts: 0, open: 0, parked: 0, wanted: 0 };
  for (const { applied, conflicts, parked, wanted } of receipts) {
    sum.changes += Object.values(applied).reduce((total, each) => total + each, 0);
    for (const { resolution, count: decided } of conflicts) {
      sum.conflicts += decided;
      if (resolution === "open") sum.open += decided;
    }
    sum.parked += parked;
    sum.wanted += wanted.length;
  }
  return sum;
}
