import type { Change } from "../../change/change.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { IncomingTable } from "./incoming.ts";
import { park } from "./parked.ts";

/**
 * A truncate. The parent's empties the table here, but for rows whose local changes the parent has not judged yet. A child's
 * never empties its parent: it is parked for a person to decide.
 */
export async function applyTruncate(session: ApplySession, incoming: IncomingTable, change: Change): Promise<void> {
  const { table, rule } = incoming;
  if (session.context.from === "child") {
    await park(session, incoming, change, { code: "TRUNCATE_FROM_CHILD", reason: "a child's truncate does not empty its parent" });
    return;
  }
  const { hstore } = session;
  const position = session.header.seen[rule.channel] ?? null;
  const pending =
    rule.oneWay === true
      ? ""
      : `where not exists (
          select from since, tombolo.change c
           where c.table_id = $1::int and c.target is null and c.origin is distinct from $2::int
             and not pg_visible_in_snapshot(c.xid, since.snapshot)
             and c.key operator(${hstore}.=) ${hstore}.slice(${hstore}.hstore(t), $4::text[]))`;
  await session.client.query({
    text: `with since as (select coalesce((select snapshot from tombolo.tick where position >= nullif($3::bigint, 0) order by position limit 1), '1:1:') as snapshot,
             $1::int as table_id, $2::int as peer_id, $4::text[] as key_columns)
      delete from ${table.sql} as t ${pending}`,
    values: [table.id, session.peer.id, (position ?? 0n).toString(), textArray(table.key)],
  });
  session.outcome.count("T", 1);
}
