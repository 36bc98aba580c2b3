import type { Change, Op } from "../../change/change.ts";
import { foldGroup } from "../../change/fold.ts";
import { type Position, position, type TableName, tableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { parseRow } from "../../change/value.ts";
import { ReferredRows, writtenRow } from "../references.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { isoTime } from "./clock.ts";
import type { Connection } from "./connection.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { describe } from "./refusal.ts";
import { prepared } from "./rows.ts";

/** A parked change as it is stored; several of one row, from before they were kept as one, have become one. */
export interface ParkedChange {
  readonly ids: readonly bigint[];
  readonly table: TableName;
  readonly shape: TableShape;
  readonly change: Change;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  /** How much of this node's log its sender knew. */
  readonly seen: Position;
}

/** A change that was refused; `incoming` is null where it could not even be read. */
export interface Unapplied {
  readonly table: IncomingTable;
  readonly change: Change;
  readonly incoming: IncomingChange | null;
  readonly error: unknown;
}

/** Sets a change aside with everything needed to apply it later. One change per row: a later one takes the place of the one that it is the net of. */
export function park(session: ApplySession, { table, change, incoming, error }: Unapplied): void {
  const { connection } = session;
  const now = isoTime(session.clock());
  const { shape } = table;
  const { code, reason } = describe(connection, error, { incoming, tables: session.captured });
  const id = blockedBy(table.name, change.key);
  const key = change.key === "" ? "{}" : change.key;
  const values = [
    session.header.number,
    change.op,
    change.old,
    change.new,
    JSON.stringify(shape),
    String(change.changedAt),
    code,
    reason,
    now,
  ];
  if (session.blocked.has(id)) {
    prepared(
      connection,
      `update tombolo_parked_change
          set packet_no = ?, op = ?, old = ?, new = ?, shape = ?, changed_at = ?, code = ?, reason = ?, tried_at = ?, attempts = attempts + 1
        where peer_id = ? and table_name = ? and key = ?`,
    ).run(...values, session.peer.id, table.name, key);
  } else {
    prepared(
      connection,
      `insert into tombolo_parked_change (packet_no, op, old, new, shape, changed_at, code, reason, tried_at, peer_id, table_name, key, channel, parked_at, seen)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(...values, session.peer.id, table.name, key, table.rule.channel, now, session.header.seen[table.rule.channel] ?? 0n);
  }
  session.outcome.parked += 1;
  if (change.op === "T") return;
  session.blocked.add(id);
  if (change.op === "I") session.waiting.add(table.name, writtenRow(change), id);
}

/** It went through, or another took its place. */
export function unpark(session: ApplySession, parked: ParkedChange): void {
  for (const id of parked.ids) prepared(session.connection, "delete from tombolo_parked_change where id = ?").run(id);
  const id = blockedBy(parked.table, parked.change.key);
  session.blocked.delete(id);
  if (parked.change.op === "I") session.waiting.remove(parked.table, writtenRow(parked.change), id);
}

/** Tried in vain. */
export function parkedAgain(session: ApplySession, parked: ParkedChange, error: unknown, incoming: IncomingChange | null): void {
  const { code, reason } = describe(session.connection, error, { incoming, tables: session.captured });
  const again = prepared(
    session.connection,
    "update tombolo_parked_change set attempts = attempts + 1, tried_at = ?, code = ?, reason = ? where id = ?",
  );
  for (const id of parked.ids) again.run(isoTime(session.clock()), code, reason, id);
}

/** The rows that have parked changes of this peer. */
export function blockedKeys(connection: Connection, peerId: number): Set<string> {
  const rows = connection.prepare("select table_name, key from tombolo_parked_change where peer_id = ? and op <> 'T'").raw().all(peerId);
  return new Set((rows as [string, string][]).map(([table, key]) => blockedBy(tableName(table), key)));
}

/** Rows of parked inserts of a child, as far as tables of these shapes refer to them; none for a peer (null) that has nothing parked. */
export function waitingRows(connection: Connection, shapes: readonly TableShape[], peerId: number | null): ReferredRows<string> {
  const references = shapes.flatMap((shape) => shape.references ?? []);
  const waiting = new ReferredRows<string>(references);
  if (references.length === 0 || peerId === null) return waiting;
  const select = connection.prepare("select key, new from tombolo_parked_change where peer_id = ? and op = 'I' and table_name = ?").raw();
  for (const table of new Set(references.map((reference) => reference.table))) {
    for (const [key, row] of select.all(peerId, table) as [string, string][]) waiting.add(table, parseRow(row), blockedBy(table, key));
  }
  return waiting;
}

/** Parked changes of a peer, oldest first. `where` is about `c`. Truncates, which only a person decides, are left out. */
export function parkedChanges(
  connection: Connection,
  peerId: number,
  where: string,
  values: { readonly [name: string]: string | bigint | number | null },
): ParkedChange[] {
  const rows = connection
    .prepare(`select ${PARKED_COLUMNS} from tombolo_parked_change c where c.peer_id = :peer and c.op <> 'T' and ${where} order by c.id`)
    .all({ peer: peerId, ...values }) as StoredParked[];
  const byRow = new Map<string, ParkedChange>();
  for (const row of rows) {
    const parked = fromRecord(row);
    const id = blockedBy(parked.table, parked.change.key);
    const first = byRow.get(id);
    const [change] = first === undefined ? [parked.change] : foldGroup([first.change, parked.change]);
    byRow.set(id, {
      ...(first ?? parked),
      shape: parked.shape,
      change: change ?? parked.change,
      ids: [...(first?.ids ?? []), ...parked.ids],
    });
  }
  return [...byRow.values()];
}

/** Of `c`, a parked change. */
export const PARKED_COLUMNS =
  "c.id, c.table_name, c.op, c.key, c.old, c.new, c.shape, c.changed_at, c.code, c.reason, c.attempts, coalesce(c.seen, 0) as seen";

export interface StoredParked {
  readonly id: bigint;
  readonly table_name: string;
  readonly op: Op;
  readonly key: string;
  readonly old: string | null;
  readonly new: string | null;
  readonly shape: string;
  readonly changed_at: string;
  readonly code: string;
  readonly reason: string;
  readonly attempts: bigint;
  readonly seen: bigint;
}

export const fromRecord = (row: StoredParked): ParkedChange => ({
  ids: [row.id],
  table: tableName(row.table_name),
  shape: JSON.parse(row.shape) as TableShape,
  change: { table: 0, op: row.op, key: row.key, old: row.old, new: row.new, changedAt: Number(row.changed_at) },
  code: row.code,
  reason: row.reason,
  attempts: Number(row.attempts),
  seen: position(row.seen),
});
