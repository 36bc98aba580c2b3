import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { TextRow } from "./incoming.ts";
import type { RowAccess } from "./rows.ts";

/** An entry of this node's own log, for looking back. */
export interface LogEntry {
  readonly op: "I" | "U" | "D" | "T" | "R";
  readonly old: TextRow | null;
  readonly new: TextRow | null;
  /** Microseconds since 1970. */
  readonly changedAt: number;
  /** At or before `alsoKnown`. */
  readonly known: boolean;
  /** No change: a row that was there, told to `offeredTo` when the two met. */
  readonly offered: boolean;
}

/** Which entries of a row are meant. */
export interface LogQuestion {
  readonly position: bigint | null;
  /** Entries up to here are marked as known to the child. */
  readonly alsoKnown?: bigint | null;
  readonly exceptFrom: number;
  /** With the rows that this peer was offered. */
  readonly offeredTo?: number;
}

/**
 * Condition on `tombolo.change c`: what did not come from a peer, and what a peer was offered as the two met; refreshes only tell a row again. `exceptFrom`
 * and `offeredTo`: the peer's id, as SQL.
 */
export const ownOrOffered = (exceptFrom: string, offeredTo = exceptFrom): string =>
  `(c.target is null and c.origin is distinct from ${exceptFrom}::int or c.target = ${offeredTo}::int and c.op <> 'R')`;

/**
 * What this node's log holds of some rows beyond a position, newest first, by canonical key text; entries that came from
 * `exceptFrom` are left out. Beyond position null means all of it.
 *
 * The rows must be locked first: then nothing about them can be added while the log is read.
 */
export async function changesSince(
  access: RowAccess,
  options: LogQuestion & { readonly table: CapturedTable; readonly keys: readonly string[] },
): Promise<Map<string, LogEntry[]>> {
  const { hstore } = access;
  const { rows } = await access.client.query({
    text: `with since as (select coalesce((select snapshot from tombolo.tick where position >= nullif($3::bigint, 0) order by position limit 1), '1:1:') as snapshot,
           coalesce((select snapshot from tombolo.tick where position >= nullif($5::bigint, 0) order by position limit 1), '1:1:') as known)
      select ${hstore}.hstore_to_json(c.key)::text, c.op, ${hstore}.hstore_to_json(c.old)::text, ${hstore}.hstore_to_json(c.new)::text,
             date_part('epoch', c.changed_at), pg_visible_in_snapshot(c.xid, since.known), c.target is not null
        from since, tombolo.change c
       where c.table_id = $1::int and ${ownOrOffered("$4", "$6")}
         and c.xid >= pg_snapshot_xmin(since.snapshot) and not pg_visible_in_snapshot(c.xid, since.snapshot)
         and ${hstore}.hstore_to_json(c.key)::text = any ($2::text[])
       order by c.seq desc`,
    values: [
      options.table.id,
      textArray(options.keys),
      (options.position ?? 0n).toString(),
      options.exceptFrom,
      (options.alsoKnown ?? 0n).toString(),
      options.offeredTo ?? null,
    ],
    rowMode: "array",
  });
  const found = new Map<string, LogEntry[]>();
  const columns = new Set(options.table.columns.map(({ name }) => name));
  type Raw = [string, LogEntry["op"], string | null, string | null, string, string, string];
  for (const [key, op, before, after, seconds, known, offered] of rows as Raw[]) {
    const entry: LogEntry = {
      op,
      old: before === null ? null : only(JSON.parse(before) as TextRow, columns),
      new: after === null ? null : only(JSON.parse(after) as TextRow, columns),
      changedAt: Math.round(Number(seconds) * 1e6),
      known: known === "t",
      offered: offered === "t",
    };
    if (op === "U" && Object.keys(entry.new ?? {}).length === 0) continue;
    const entries = found.get(key);
    if (entries === undefined) found.set(key, [entry]);
    else entries.push(entry);
  }
  return found;
}

/**
 * The row that the newest of the entries deleted. A child that had edits of its own when it heard of the deletion has kept the row until
 * they are judged, and still edits it.
 */
export const lastDeleted = ([newest]: readonly LogEntry[]): TextRow | null => (newest?.op === "D" ? newest.old : null);

/** An entry may be older than the column that it holds was dropped, or left at home. */
const only = (row: TextRow, columns: ReadonlySet<string>): TextRow =>
  Object.fromEntries(Object.entries(row).filter(([name]) => columns.has(name)));

/** The row as it was before all of the entries (newest first). Null when there was none; columns may be missing after a partial look back. */
export function lookBack(current: TextRow | null, entries: readonly LogEntry[]): TextRow | null {
  let row: TextRow | null = current;
  for (const entry of entries) {
    if (entry.op === "I") row = null;
    else if (entry.op === "D") row = entry.old;
    else if (entry.op === "U") row = { ...(row ?? {}), ...(entry.old ?? {}) };
  }
  return row;
}
