import type { Change, Op } from "../../change/change.ts";
import { type TableName, tableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { isoTime } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { prepared } from "./rows.ts";

export interface ParkedChange {
  readonly id: bigint;
  readonly table: TableName;
  readonly shape: TableShape;
  readonly change: Change;
}

/** Sets a change aside with everything needed to apply it later; later changes of its row wait behind it. */
export function park(
  session: ApplySession,
  shape: TableShape,
  change: Change,
  why: { readonly code: string; readonly reason: string },
): void {
  const now = isoTime(session.clock());
  prepared(
    session.connection,
    `insert into tombolo_parked_change (peer_id, packet_no, table_name, channel, op, key, old, new, shape, changed_at, code, reason, parked_at, tried_at)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    session.peer.id,
    session.header.number,
    shape.table,
    shape.channel,
    change.op,
    change.key === "" ? "{}" : change.key,
    change.old,
    change.new,
    JSON.stringify(shape),
    String(change.changedAt),
    why.code,
    why.reason,
    now,
    now,
  );
  if (change.op !== "T") session.blocked.add(blockedBy(shape.table, change.key));
  session.outcome.parked += 1;
}

/** The rows that have parked changes of this peer. */
export function blockedKeys(connection: Connection, peerId: number): Set<string> {
  const rows = connection.prepare("select table_name, key from tombolo_parked_change where peer_id = ? and op <> 'T'").raw().all(peerId);
  return new Set((rows as [string, string][]).map(([table, key]) => blockedBy(tableName(table), key)));
}

/** The parked changes of a peer, oldest first. */
export function parkedChanges(connection: Connection, peerId: number, limit: bigint): ParkedChange[] {
  const rows = connection
    .prepare(
      "select id, table_name, op, key, old, new, shape, changed_at from tombolo_parked_change where peer_id = ? and op <> 'T' order by id limit ?",
    )
    .raw()
    .all(peerId, limit) as [bigint, string, Op, string, string | null, string | null, string, string][];
  return rows.map(([id, table, op, key, old, now, shape, changedAt]) => ({
    id,
    table: tableName(table),
    shape: JSON.parse(shape) as TableShape,
    change: { table: 0, op, key, old, new: now, changedAt: Number(changedAt) },
  }));
}

export function unpark(connection: Connection, id: bigint): void {
  prepared(connection, "delete from tombolo_parked_change where id = ?").run(id);
}

export function parkedAgain(
  connection: Connection,
  id: bigint,
  why: { readonly code: string; readonly reason: string },
  now: string,
): void {
  prepared(connection, "update tombolo_parked_change set attempts = attempts + 1, tried_at = ?, code = ?, reason = ? where id = ?").run(
    now,
    why.code,
    why.reason,
    id,
  );
}
