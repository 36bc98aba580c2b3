import type { Op } from "../../change/change.ts";
import { tableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { applyRow, describe, inSavepoint } from "./attempt.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { IncomingTable } from "./incoming.ts";

/** Rows tried in one transaction: keeps locks short when much is parked. */
const RETRY_LIMIT = 500;

/** Tries parked changes again, oldest first; a row whose first change still fails keeps its later ones waiting. Answers how many went through. */
export async function retryParkedChanges(session: ApplySession, tables: CapturedTables): Promise<number> {
  const { rows } = await session.client.query<{ [column: string]: string | null }>(
    `select id, table_name, op, key::text as key, old::text as old, new::text as new, shape::text as shape, date_part('epoch', changed_at) as changed_at
       from tombolo.parked_change where peer_id = $1 and op <> 'T' order by id limit ${RETRY_LIMIT}`,
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
    const incoming = new IncomingTable(table, JSON.parse(row.shape as string) as TableShape, rule);
    const error = await inSavepoint(session, () =>
      applyRow(
        session,
        incoming.incoming({
          table: 0,
          op: row.op as Op,
          key: row.key as string,
          old: row.old ?? null,
          new: row.new ?? null,
          changedAt: Math.round(Number(row.changed_at) * 1e6),
        }),
      ),
    );
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
