import type { Change, Op } from "../../change/change.ts";
import { tableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { asOfToday } from "../../change/shape-today.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { applyRow, describe, inSavepoint } from "./attempt.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { IncomingTable } from "./incoming.ts";

/** Rows tried in one transaction: keeps locks short when much is parked. Those come first that were not tried for longest, so that none starves. */
const RETRY_LIMIT = 500;

/** Tries parked changes again, oldest first; a row whose first change still fails keeps its later ones waiting. Answers how many went through. */
export async function retryParkedChanges(session: ApplySession, tables: CapturedTables, now: readonly TableShape[] = []): Promise<number> {
  const { rows } = await session.client.query<{ [column: string]: string | null }>(
    `with waiting as (select * from tombolo.parked_change where peer_id = $1 and op <> 'T'),
          first as (select distinct on (table_name, key::text) table_name, key::text as key, tried_at, id from waiting order by table_name, key::text, id),
          picked as (select table_name, key from first order by tried_at, id limit ${RETRY_LIMIT})
     select w.id, w.table_name, w.op, w.key::text as key, w.old::text as old, w.new::text as new, w.shape::text as shape,
            date_part('epoch', w.changed_at) as changed_at
       from waiting w join picked p on p.table_name = w.table_name and p.key = w.key::text order by w.id`,
    [session.peer.id],
  );
  const known = await tables.all();
  const waiting = new Set<string>();
  let through = 0;
  for (const row of rows) {
    const name = tableName(row.table_name as string);
    const table = known.get(name);
    const rule = session.context.rules.get(name);
    const id = blockedBy(name, row.key as string);
    if (table === undefined || rule === undefined || waiting.has(id)) continue;
    const parked: Change = {
      table: 0,
      op: row.op as Op,
      key: row.key as string,
      old: row.old ?? null,
      new: row.new ?? null,
      changedAt: Math.round(Number(row.changed_at) * 1e6),
    };
    const here = table.columns.map((column) => column.name);
    const { change, shape } = asOfToday({ change: parked, shape: JSON.parse(row.shape as string) as TableShape }, now, here);
    const error = await inSavepoint(session, async () => applyRow(session, new IncomingTable(table, shape, rule).incoming(change)));
    if (error === null) {
      through += 1;
      await session.client.query("delete from tombolo.parked_change where id = $1", [row.id]);
    } else {
      waiting.add(id);
      const { code, reason } = describe(error);
      await session.client.query(
        "update tombolo.parked_change set attempts = attempts + 1, tried_at = clock_timestamp(), code = $2, reason = $3 where id = $1",
        [row.id, code, reason],
      );
    }
  }
  return through;
}
