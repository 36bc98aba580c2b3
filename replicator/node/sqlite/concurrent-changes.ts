import type { Row, Value } from "../../change/value.ts";
import { type StoredShape, shapeIds, storedShapes } from "./captured-tables.ts";
import { microseconds } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { type Image, imageToRow, splitImage } from "./image.ts";
import { LOG_OF_KEY, logKeys } from "./log-keys.ts";
import { prepared } from "./rows.ts";

/** An entry of this node's own log, for looking back. */
export interface LogEntry {
  /** `H`: the row was there with this image, and a REPLACE may have deleted it. */
  readonly op: "I" | "U" | "D" | "H";
  readonly old: Row | null;
  readonly new: Row | null;
  /** Columns that an update changed. */
  readonly changed: readonly string[];
  /** Microseconds since 1970. */
  readonly changedAt: number;
  /** No change: a row that was there, told to `offeredTo` when the two met. */
  readonly offered: boolean;
}

export interface LogQuestion {
  readonly tableId: number;
  readonly key: Image;
  readonly position: bigint | null;
  readonly exceptFrom: number;
  /** With the rows that this peer was offered. */
  readonly offeredTo?: number;
}

/** Condition on the log: what did not come from a peer, and what a peer was offered as the two met; refreshes only tell a row again. Binds the two peers' ids. */
export const OWN_OR_OFFERED = "(target is null and (origin is null or origin <> ?) or target = ? and op <> 'R')";

/** What this node's log holds of a row beyond a position, newest first; what came from `exceptFrom` is left out. Beyond null is all of it. */
export function changesSince(connection: Connection, look: LogQuestion): LogEntry[] {
  logKeys(connection);
  const sql = `select c.op, c.old, c.new, c.changed_at, c.target is not null from ${LOG_OF_KEY} and ${OWN_OR_OFFERED} order by k.seq desc`;
  // a younger shape has younger entries
  return shapeIds(connection, look.tableId).flatMap((id) => {
    const rows = prepared(connection, sql)
      .raw()
      .all(look.key, id, look.position ?? 0n, look.exceptFrom, look.offeredTo ?? null) as RawEntry[];
    if (rows.length === 0) return [];
    const shapes = storedShapes(connection);
    const now = shapes.get(look.tableId) as StoredShape;
    const entries = rows.map((row) => logEntry(row, shapes.get(Number(id)) as StoredShape));
    return id === BigInt(look.tableId) ? entries : entries.flatMap((entry) => asOfNow(entry, now));
  });
}

type RawEntry = [LogEntry["op"], string | null, string | null, string, bigint];

const logEntry = ([op, old, now, changedAt, offered]: RawEntry, shape: StoredShape): LogEntry => ({
  op,
  old: old === null ? null : imageToRow(old, shape.columns),
  new: now === null ? null : imageToRow(now, shape.columns),
  changed: op === "U" && old !== null && now !== null ? changedColumns(old, now, shape) : [],
  changedAt: microseconds(changedAt),
  offered: offered === 1n,
});

/** An entry of an older shape without the columns that do not travel any more; nothing when that is all that it changed. */
function asOfNow(entry: LogEntry, now: StoredShape): LogEntry[] {
  const names = new Set(now.columns.map(({ name }) => name));
  const only = (row: Row | null): Row | null => row && Object.fromEntries(Object.entries(row).filter(([name]) => names.has(name)));
  const changed = entry.changed.filter((name) => names.has(name));
  return entry.op === "U" && changed.length === 0 ? [] : [{ ...entry, old: only(entry.old), new: only(entry.new), changed }];
}

export function changedColumns(old: Image, now: Image, shape: StoredShape): string[] {
  const before = splitImage(old);
  const after = splitImage(now);
  return shape.columns.filter((_, at) => before[at] !== after[at]).map(({ name }) => name);
}

/** The row as it was before all of the entries (newest first); null when there was none. */
export function lookBack(current: Row | null, entries: readonly LogEntry[]): Row | null {
  let row = current;
  for (const { op, old, changed } of entries) {
    if (op === "I") row = null;
    else if (op === "D" || (op === "H" && row === null)) row = old;
    else if (op === "U") row = { ...(row ?? old ?? {}), ...columnsOf(old ?? {}, changed) };
  }
  return row;
}

/**
 * The row that the newest of the entries deleted. A child that had edits of its own when it heard of the deletion has kept the row until
 * they are judged, and still edits it.
 */
export const lastDeleted = ([newest]: readonly LogEntry[]): Row | null => (newest?.op === "D" || newest?.op === "H" ? newest.old : null);

function columnsOf(row: Row, names: readonly string[]): Row {
  const part: { [column: string]: Value } = {};
  for (const name of names) part[name] = row[name] ?? null;
  return part;
}
