import type pg from "pg";
import type { Change } from "../../change/change.ts";
import { tableName } from "../../change/names.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import type { IncomingTable } from "./incoming.ts";

/** Sets a change aside with everything needed to apply it later; later changes of its row wait behind it. */
export async function park(
  session: ApplySession,
  incoming: IncomingTable,
  change: Change,
  why: { readonly code: string; readonly reason: string },
): Promise<void> {
  await session.client.query({
    text: `insert into tombolo.parked_change (peer_id, packet_no, table_name, channel, op, key, old, new, shape, changed_at, code, reason)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, to_timestamp($10::float8), $11, $12)`,
    values: [
      session.peer.id,
      session.header.number.toString(),
      incoming.table.name,
      incoming.rule.channel,
      change.op,
      change.key === "" ? "{}" : change.key,
      change.old,
      change.new,
      JSON.stringify(incoming.shape),
      change.changedAt / 1e6,
      why.code,
      why.reason,
    ],
  });
  if (change.op !== "T") session.blocked.add(blockedBy(incoming.table.name, change.key));
  session.outcome.parked += 1;
}

/** The rows that have parked changes of this peer. */
export async function blockedKeys(client: pg.ClientBase, peerId: number): Promise<Set<string>> {
  const { rows } = await client.query({
    text: "select table_name, key::text from tombolo.parked_change where peer_id = $1 and op <> 'T'",
    values: [peerId],
    rowMode: "array",
  });
  return new Set((rows as [string, string][]).map(([table, key]) => blockedBy(tableName(table), key)));
}
