import type { Row, Value } from "../../change/value.ts";
import type { StoredShape } from "./captured-tables.ts";
import { storedShapes } from "./captured-tables.ts";
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
}

/** What this node's log holds of a row beyond a position, newest first; what came from `exceptFrom` is left out. Beyond null is all of it. */
export function changesSince(
  connection: Connection,
  look: { readonly tableId: number; readonly key: Image; readonly position: bigint | null; readonly exceptFrom: number },
): LogEntry[] {
  logKeys(connection);
  const rows = prepared(
    connection,
    `select c.op, c.old, c.new, c.changed_at from ${LOG_OF_KEY} and c.target is null and (c.origin is null or c.origin <> ?) order by k.seq desc`,
  )
    .raw()
    .all(look.key, look.tableId, look.position ?? 0n, look.exceptFrom) as [LogEntry["op"], string | null, string | null, string][];
  if (rows.length === 0) return [];
  const shape = storedShapes(connection).get(look.tableId) as StoredShape;
  return rows.map(([op, old, now, changedAt]) => ({
    op,
    old: old === null ? null : imageToRow(old, shape.columns),
    new: now === null ? null : imageToRow(now, shape.columns),
    changed: op === "U" && old !== null && now !== null ? changedColumns(old, now, shape) : [],
    changedAt: microseconds(changedAt),
  }));
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

function columnsOf(row: Row, names: readonly string[]): Row {
  const part: { [column: string]: Value } = {};
  for (const name of names) part[name] = row[name] ?? null;
  return part;
}
