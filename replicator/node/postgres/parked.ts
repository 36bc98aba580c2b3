import type pg from "pg";
import type { Change, Op } from "../../change/change.ts";
import { foldGroup } from "../../change/fold.ts";
import { type Position, position, type TableName, tableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { parseRow } from "../../change/value.ts";
import { ReferredRows, writtenRow } from "../references.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { Refused } from "./attempt.ts";
import type { IncomingTable } from "./incoming.ts";
import { describe } from "./refusal.ts";

/** A parked change as it is stored; several of one row, from before they were kept as one, have become one. */
export interface ParkedChange {
  readonly ids: readonly string[];
  readonly table: TableName;
  readonly shape: TableShape;
  readonly change: Change;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  /** How much of this node's log its sender knew. */
  readonly seen: Position;
}

/** A change that was refused, and why. */
export interface Unapplied {
  readonly table: IncomingTable;
  readonly change: Change;
  readonly error: unknown;
}

export const unapplied = ({ incoming, error }: Refused): Unapplied => ({ table: incoming.table, change: incoming.change, error });

/** Sets changes aside with everything needed to apply them later. One per row: a later one takes the place of the one that it is the net of. */
export async function park(session: ApplySession, changes: readonly Unapplied[]): Promise<void> {
  const fresh: (readonly (string | null)[])[] = [];
  for (const { table: incoming, change, error } of changes) {
    const { table, shape, rule } = incoming;
    const { code, reason } = await describe(session, error, { op: change.op, table });
    const id = blockedBy(table.name, change.key);
    const seen = session.lastSeen[rule.channel] ?? session.header.seen[rule.channel] ?? 0n;
    const key = change.key === "" ? "{}" : change.key;
    const at = String(change.changedAt / 1e6);
    const row = [table.name, key, change.op, change.old, change.new, JSON.stringify(shape), at, code, reason];
    if (session.blocked.has(id)) await replace(session, row);
    else fresh.push([...row, rule.channel, seen.toString()]);
    session.outcome.parked += 1;
    if (change.op === "T") continue;
    session.blocked.add(id);
    if (change.op === "I") session.waiting.add(table.name, writtenRow(change), id);
  }
  if (fresh.length === 0) return;
  const [first = []] = fresh;
  const columns = ["table_name", "key", "op", "old", "new", "shape", "changed_at", "code", "reason", "channel", "seen"];
  await session.client.query({
    text: `insert into tombolo.parked_change (peer_id, packet_no, ${columns.join(", ")})
      select $1::int, $2::bigint, table_name, key::json, op::"char", old::json, new::json, shape::json, to_timestamp(changed_at::float8), code, reason, channel,
             seen::bigint
        from unnest(${columns.map((_, at) => `$${at + 3}::text[]`).join(", ")}) with ordinality as u(${columns.join(", ")}, ord) order by ord`,
    values: [session.peer.id, session.header.number.toString(), ...first.map((_, at) => textArray(fresh.map((row) => row[at] ?? null)))],
  });
}

async function replace(session: ApplySession, row: readonly (string | null)[]): Promise<void> {
  await session.client.query({
    text: `update tombolo.parked_change
        set op = $5, old = $6, new = $7, shape = $8, changed_at = to_timestamp($9::float8), code = $10, reason = $11, packet_no = $2,
            attempts = attempts + 1, tried_at = clock_timestamp()
      where peer_id = $1 and table_name = $3 and key::text = $4`,
    values: [session.peer.id, session.header.number.toString(), ...row],
  });
}

/** They went through, or others took their place. */
export async function unpark(session: ApplySession, parked: readonly ParkedChange[]): Promise<void> {
  if (parked.length === 0) return;
  await session.client.query("delete from tombolo.parked_change where id = any ($1::bigint[])", [parked.flatMap(({ ids }) => ids)]);
  for (const { table, change } of parked) {
    const id = blockedBy(table, change.key);
    session.blocked.delete(id);
    if (change.op === "I") session.waiting.remove(table, writtenRow(change), id);
  }
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

/** Rows of parked inserts of a child, as far as tables of these shapes refer to them; none for a peer (null) that has nothing parked. */
export async function waitingRows(
  client: pg.ClientBase,
  shapes: readonly TableShape[],
  peerId: number | null,
): Promise<ReferredRows<string>> {
  const references = shapes.flatMap((shape) => shape.references ?? []);
  const waiting = new ReferredRows<string>(references);
  if (references.length === 0 || peerId === null) return waiting;
  const { rows } = await client.query({
    text: "select table_name, key::text, new::text from tombolo.parked_change where peer_id = $1 and op = 'I' and table_name = any ($2::text[])",
    values: [peerId, [...new Set(references.map(({ table }) => table))]],
    rowMode: "array",
  });
  for (const [table, key, row] of rows as [string, string, string][]) {
    waiting.add(tableName(table), parseRow(row), blockedBy(tableName(table), key));
  }
  return waiting;
}

/** Parked changes of a peer, oldest first. `where` is about `c`; its parameters begin at $2. Truncates, which only a person decides, are left out. */
export async function parkedChanges(
  client: pg.ClientBase,
  peerId: number,
  where: string,
  values: readonly unknown[],
): Promise<ParkedChange[]> {
  const { rows } = await client.query<StoredParked>(
    `select ${PARKED_COLUMNS} from tombolo.parked_change c where c.peer_id = $1 and c.op <> 'T' and ${where} order by c.id`,
    [peerId, ...values],
  );
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

/** As the driver gives it, by column. */
export type StoredParked = { readonly [column: string]: string | null };

/** Of `c`, a parked change. */
export const PARKED_COLUMNS = `c.id, c.table_name, c.op, c.key::text as key, c.old::text as old, c.new::text as new, c.shape::text as shape, c.code, c.reason, c.attempts,
  date_part('epoch', c.changed_at) as changed_at, coalesce(c.seen, 0) as seen`;

export function fromRecord(row: StoredParked): ParkedChange {
  return {
    ids: [row.id as string],
    table: tableName(row.table_name as string),
    shape: JSON.parse(row.shape as string) as TableShape,
    change: {
      table: 0,
      op: row.op as Op,
      key: row.key as string,
      old: row.old ?? null,
      new: row.new ?? null,
      changedAt: Math.round(Number(row.changed_at) * 1e6),
    },
    code: row.code as string,
    reason: row.reason as string,
    attempts: Number(row.attempts),
    seen: position(row.seen as string),
  };
}
