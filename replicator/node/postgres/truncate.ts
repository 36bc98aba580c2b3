import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { inSavepoint } from "./attempt.ts";
import { ownOrOffered } from "./concurrent-changes.ts";
import type { IncomingTable } from "./incoming.ts";
import { park } from "./parked.ts";

/**
 * A truncate. The parent's empties the table here, but for rows whose local changes the parent has not judged yet. A child's
 * never empties its parent: it is parked for a person to decide.
 */
export async function applyTruncate(session: ApplySession, incoming: IncomingTable, change: Change): Promise<void> {
  if (session.context.from === "child") {
    const error = new TomboloError("a child emptied the whole table; here, where others share it, only a person may decide that", {
      code: "TRUNCATE_FROM_CHILD",
      kind: "operator",
    });
    await park(session, [{ table: incoming, change, error }]);
    return;
  }
  const error = await inSavepoint(session, () => truncate(session, incoming));
  if (error === null) session.outcome.count("T", 1);
  else await park(session, [{ table: incoming, change, error }]);
}

async function truncate(session: ApplySession, { table, rule }: IncomingTable): Promise<void> {
  const { hstore, gate, client } = session;
  if (gate.lags && rule.oneWay !== true) {
    // what is deleted below must be what the log has told of
    await client.query(`lock table ${table.sql} in share row exclusive mode`);
    await gate.complete();
  }
  const something = `(c.op <> 'U' or c.new operator(${hstore}.-) $5::text[] operator(${hstore}.<>) '')`;
  const position = session.header.seen[rule.channel] ?? null;
  const pending =
    rule.oneWay === true
      ? ""
      : `where not exists (
          select from since, tombolo.change c
           where c.table_id = $1::int and ${ownOrOffered("$2")}
             and not pg_visible_in_snapshot(c.xid, since.snapshot)
             and ${something} and c.key operator(${hstore}.=) ${hstore}.slice(${hstore}.hstore(t.*), $4::text[]))`;
  await client.query({
    text: `with since as (select coalesce((select snapshot from tombolo.tick where position >= nullif($3::bigint, 0) order by position limit 1), '1:1:') as snapshot,
             $1::int as table_id, $2::int as peer_id, $4::text[] as key_columns, $5::text[] as excluded)
      delete from ${table.sql} as t ${pending}`,
    values: [table.id, session.peer.id, (position ?? 0n).toString(), textArray(table.key), textArray(table.excluded)],
  });
  // what was parked of the table came before
  await session.client.query("delete from tombolo.parked_change where peer_id = $1 and table_name = $2", [session.peer.id, table.name]);
  for (const id of [...session.blocked]) if (id.startsWith(blockedBy(table.name, ""))) session.blocked.delete(id);
}
