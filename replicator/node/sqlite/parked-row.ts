import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { parseRow, type Row } from "../../change/value.ts";
import { changesSince } from "./concurrent-changes.ts";
import type { Connection } from "./connection.ts";
import { asRow, type IncomingTable } from "./incoming.ts";
import { type Bindable, boundValue, findRow, keyImage, rowOf } from "./rows.ts";

/** A parked change with the whole rows around it, as far as they are known here; in this database's terms where they have a place in it. */
export interface ParkedRow {
  readonly key: Row;
  readonly now: Row | null;
  /** As the sender knew it before its change; null for an insert. */
  readonly base: Row | null;
  /** As the sender left it; null for a delete. */
  readonly theirs: Row | null;
  /** The key as it is bound; null where the key itself, or the table, has no place here, so that there is no row to look at. */
  readonly bound: readonly Bindable[] | null;
}

/** `incoming` is null where the table is not captured any more. */
export function parkedRow(connection: Connection, incoming: IncomingTable | null, change: Change): ParkedRow {
  const old = local(incoming, change, change.old);
  const after = local(incoming, change, change.new);
  const bound = boundKey(incoming, change);
  if (incoming === null || bound === null) {
    return { key: parseRow(change.key || "{}"), now: null, base: change.op === "I" ? null : old, theirs: after, bound: null };
  }
  const { table } = incoming;
  const key = Object.fromEntries(table.key.map((name, at) => [name, boundValue(bound[at] ?? null)]));
  const now = rowOf(table, findRow(connection, table, bound));
  const known = now ?? (change.op === "U" ? lastKnown(connection, incoming, bound) : null);
  // what an update did not touch, the sender has as it is here
  const base = change.op === "I" ? null : { ...known, ...key, ...old };
  return { key, now, base, theirs: after === null ? null : { ...(change.op === "U" ? base : {}), ...key, ...after }, bound };
}

/** The row as it was before this node deleted it, if its log still tells. */
function lastKnown(connection: Connection, { table }: IncomingTable, key: readonly Bindable[]): Row | null {
  const log = changesSince(connection, { tableId: table.id, key: keyImage(connection, table, key), position: null, exceptFrom: -1 });
  return log.find(({ op }) => op === "D")?.old ?? null;
}

function boundKey(incoming: IncomingTable | null, change: Change): readonly Bindable[] | null {
  try {
    return incoming === null || change.key === "" || change.op === "T"
      ? null
      : incoming.incoming({ ...change, op: "D", old: null, new: null }).key;
  } catch (error) {
    if (!(error instanceof TomboloError)) throw error;
    return null;
  }
}

/** As this database holds it; as the sender gave it where a value has no place here. */
function local(incoming: IncomingTable | null, change: Change, text: string | null): Row | null {
  if (text === null) return null;
  try {
    const row = incoming?.incoming({ ...change, op: "D", old: text, new: null }).old ?? null;
    return row === null ? parseRow(text) : asRow(row);
  } catch (error) {
    if (!(error instanceof TomboloError)) throw error;
    return parseRow(text);
  }
}
