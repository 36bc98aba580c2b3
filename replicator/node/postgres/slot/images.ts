import { inOnePiece } from "../../../change/in-one-piece.ts";
import { NODE_LIMITS } from "../../../change/packet-limits.ts";
import { rowOf, type StreamedRelation, type Tuple } from "./pgoutput.ts";
import type { StreamedChange } from "./transactions.ts";

/** What tombolo.captured_table says of a table, as far as its images depend on it. */
export interface CapturedRelation {
  readonly id: number;
  readonly key: readonly string[];
  /** Updates log the whole row, before and after. */
  readonly whole: boolean;
  /** Columns that do not travel. */
  readonly excluded: readonly string[];
}

/** The transaction of a change. */
export interface Commit {
  /** 32 bits. */
  readonly xid: number;
  /** Microseconds since 1970. */
  readonly committedAt: number;
}

/** A row of the change log, with images as texts of hstore. */
export interface LogEntry extends Commit {
  readonly tableId: number;
  readonly op: "I" | "U" | "D" | "T";
  readonly origin: number | null;
  readonly key: string;
  readonly old: string | null;
  readonly new: string | null;
}

/** Why a change cannot be logged: the table then has a hole, and must be compared. */
export type Unloggable = "REPLICA_IDENTITY" | "TABLE_ALTERED" | "CHANGE_TOO_LARGE";

/** The same entries as the capture triggers make of the same change: none for an update that changes nothing, two for one that changes the key. */
export function logEntries(change: StreamedChange, captured: CapturedRelation, commit: Commit): readonly LogEntry[] | Unloggable {
  const { relation, op, origin, row } = change;
  if (row !== null && row.length > NODE_LIMITS.part) return "CHANGE_TOO_LARGE";
  const { old, new: now } = row === null ? NO_ROW : rowOf(row);
  return entriesOf({ relation, op, origin, old, new: now }, captured, commit);
}

const NO_ROW: ReturnType<typeof rowOf> = { old: null, new: null };

type ReadChange = Omit<StreamedChange, "row"> & ReturnType<typeof rowOf>;

export function entriesOf(change: ReadChange, captured: CapturedRelation, commit: Commit): readonly LogEntry[] | Unloggable {
  const { op, origin, old } = change;
  const { xid, committedAt } = commit;
  const entry = (as: LogEntry["op"], key: string, before: string | null, after: string | null): LogEntry => ({
    xid,
    committedAt,
    tableId: captured.id,
    op: as,
    origin,
    key,
    old: before,
    new: after,
  });
  if (op === "T") return [entry("T", "", null, null)];
  const layout = layoutOf(change.relation, captured);
  if (layout === null) return "TABLE_ALTERED";
  const { key, visible } = layout;
  const after = change.new === null ? null : merged(change.new, old);
  if (op === "I") return [entry("I", image(layout, after as Tuple, key), null, image(layout, after as Tuple, visible))];
  if (old === null) return "REPLICA_IDENTITY";
  if (after === null) return [entry("D", image(layout, old, key), image(layout, old, visible), null)];
  const changed = visible.filter((at) => old[at] !== after[at]);
  if (changed.length === 0) return [];
  if (key.some((at) => old[at] !== after[at])) {
    return [
      entry("D", image(layout, old, key), image(layout, old, visible), null),
      entry("I", image(layout, after, key), null, image(layout, after, visible)),
    ];
  }
  const shown = captured.whole ? visible : changed;
  return [entry("U", image(layout, old, key), image(layout, old, shown), image(layout, after, shown))];
}

/** A large value that an update left alone is not sent; under replica identity FULL the old row has it. */
function merged(after: Tuple, before: Tuple | null): Tuple {
  return before !== null && after.includes(undefined) ? after.map((value, at) => (value === undefined ? before[at] : value)) : after;
}

interface Layout {
  /** By column: its name as it begins a pair of hstore. */
  readonly names: readonly string[];
  readonly visible: readonly number[];
  readonly key: readonly number[];
}

const layouts = new WeakMap<StreamedRelation, { readonly captured: CapturedRelation; readonly layout: Layout | null }>();

/** Null where a column of the key is not among those that were sent. */
function layoutOf(relation: StreamedRelation, captured: CapturedRelation): Layout | null {
  const known = layouts.get(relation);
  if (known?.captured === captured) return known.layout;
  const { columns } = relation;
  const key = captured.key.map((name) => columns.indexOf(name));
  const layout = {
    names: columns.map((name) => `${quoted(name)}=>`),
    visible: columns.flatMap((name, at) => (captured.excluded.includes(name) ? [] : [at])),
    key,
  };
  const usable = key.length > 0 && key.every((at) => at >= 0) ? layout : null;
  layouts.set(relation, { captured, layout: usable });
  return usable;
}

function image({ names }: Layout, row: Tuple, columns: readonly number[]): string {
  let text = "";
  for (const at of columns) {
    const value = row[at];
    // unknown: only in an insert that never was one
    if (value === undefined) continue;
    if (text !== "") text += ",";
    text += names[at];
    text += value === null ? "NULL" : quoted(value);
  }
  // many wait together
  return inOnePiece(text);
}

const quoted = (value: string): string =>
  value.includes('"') || value.includes("\\") ? `"${value.replace(/["\\]/g, "\\$&")}"` : `"${value}"`;
