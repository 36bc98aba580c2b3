import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { typed } from "./column-sql.ts";
import type { ChangeSet } from "./fast-path.ts";
import { ident } from "./identifier.ts";
import type { IncomingChange } from "./incoming.ts";
import { deleteRow } from "./rows.ts";
import { columnNamed } from "./set-statements.ts";

/**
 * Takes back what an insert of the parent's has brought back although it was deleted here and the parent has not judged that
 * yet; answers those changes. Looked at after the insert: whatever was deleted before it is in the log by now.
 */
export async function takeBackDeleted(
  session: ApplySession,
  set: ChangeSet,
  inserted: readonly IncomingChange[],
): Promise<IncomingChange[]> {
  const { table, rule } = set.table;
  if (set.op !== "I" || session.context.from !== "parent" || rule.oneWay === true || inserted.length === 0) return [];
  const { client, hstore } = session;
  const keys = table.key.map((name) => columnNamed(table, name));
  const arrays = keys.map((_, index) => `$${index + 4}::text[]`).join(", ");
  const names = keys.map((_, index) => `a${index}`).join(", ");
  const key = keys.map((column, index) => `${typed(`a${index}`, column)} as ${ident(column.name)}`).join(", ");
  const { rows } = await client.query({
    text: `with since as (
        select coalesce((select snapshot from tombolo.tick where position >= nullif($3::bigint, 0) order by position limit 1), '1:1:') as snapshot),
      deleted as materialized (
        select distinct c.key from since, tombolo.change c
         where c.table_id = $1::int and c.target is null and c.origin is distinct from $2::int and c.op = 'D'
           and c.xid >= pg_snapshot_xmin(since.snapshot) and not pg_visible_in_snapshot(c.xid, since.snapshot))
      select told.ord from deleted join (
        select ord, (select ${hstore}.hstore(r) from (select ${key}) as r) as key from unnest(${arrays}) with ordinality as u(${names}, ord)
         where exists (select from deleted)) as told on deleted.key operator(${hstore}.=) told.key`,
    values: [
      table.id,
      session.peer.id,
      (session.header.seen[rule.channel] ?? 0n).toString(),
      ...table.key.map((name) => textArray(inserted.map((incoming) => incoming.key[name] ?? null))),
    ],
    rowMode: "array",
  });
  const takenBack = (rows as [string][]).map(([ordinal]) => inserted[Number(ordinal) - 1] as IncomingChange);
  for (const incoming of takenBack) await deleteRow(session, table, incoming.key);
  return takenBack;
}
