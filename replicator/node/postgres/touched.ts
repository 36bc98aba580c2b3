import type pg from "pg";
import { type NodeName, nodeName, type Position, type TableName, tableName } from "../../change/names.ts";
import type { Touched } from "./news.ts";
import type { RecentTicks } from "./recent-ticks.ts";
import { windowBetween } from "./snapshot-text.ts";

/** Where more was logged, everybody is told. */
const MOST_CHANGES = 2_000;

const TOUCHED = `
  select (select table_name from tombolo.captured_table t where t.id = c.table_id) as table_name,
         (select name from tombolo.peer p where p.id = c.target) as reader, sum(c.changes) as changes
    from (select table_id, target, 1 as changes
            from tombolo.change
           where ((xid >= $1::xid8 and xid < $2::xid8) or xid = any ($3::xid8[])) and pg_visible_in_snapshot(xid, $4::pg_snapshot)
           limit ${MOST_CHANGES + 1}) as c
   group by c.table_id, c.target`;

/** Which tables the log has changes of between two ticks that were made a moment ago, and which readers refreshes of their own; null where that is not known. */
export async function touchedBetween(
  pool: pg.Pool,
  recent: RecentTicks,
  window: { readonly after: Position; readonly upTo: Position },
): Promise<Touched> {
  const [after, upTo] = [recent.get(window.after), recent.get(window.upTo)];
  if (after === undefined || upTo === undefined) return null;
  const { from, to, finished } = windowBetween(after.snapshot, upTo.snapshot);
  const { rows } = await pool.query<{ table_name: string | null; reader: string | null; changes: string }>({
    name: "tombolo_touched",
    text: TOUCHED,
    values: [from.toString(), to.toString(), `{${finished.join(",")}}`, upTo.text],
  });
  const tables = new Set<TableName>();
  const readers = new Set<NodeName>();
  let changes = 0;
  for (const row of rows) {
    changes += Number(row.changes);
    if (row.reader !== null) readers.add(nodeName(row.reader));
    else if (row.table_name !== null) tables.add(tableName(row.table_name));
  }
  return changes > MOST_CHANGES ? null : { tables, readers };
}
