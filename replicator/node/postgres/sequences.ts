import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { ident } from "./identifier.ts";

/**
 * Moves the sequences behind serial and identity columns past what was inserted, so that the next row inserted here, by an
 * application or after a failover, gets a free number. Sequences only ever move forward, and not with the transaction: harmless.
 */
export async function advanceSequences(session: ApplySession, tables: Iterable<CapturedTable>): Promise<void> {
  for (const table of tables) {
    for (const { column, sequence } of table.sequences) {
      await session.client.query({
        text: `select setval($1::regclass, applied.highest) from (select max(${ident(column)})::bigint as highest from ${table.sql}) as applied
                where applied.highest > (select last_value from ${sequence})`,
        values: [sequence],
      });
    }
  }
}
