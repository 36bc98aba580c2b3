import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { parseRow, type Row, type RowText } from "../../change/value.ts";
import { changesSince } from "./concurrent-changes.ts";
import { rowOf } from "./image.ts";
import { inColumnOrder } from "./in-the-way.ts";
import type { IncomingTable, TextRow } from "./incoming.ts";
import { isRowError } from "./row-error.ts";
import { keyText, normalise, type RowAccess, readRow } from "./rows.ts";

/** A parked change with the whole rows around it, as far as they are known here; in this database's terms where they have a place in it. */
export interface ParkedRow {
  readonly key: Row;
  readonly now: TextRow | null;
  /** As the sender knew it before its change; null for an insert. */
  readonly base: Row | null;
  /** As the sender left it; null for a delete. */
  readonly theirs: Row | null;
  /** False where the key itself, or the table, has no place here, so that there is no row to look at. */
  readonly readable: boolean;
}

/** Runs in a transaction. `incoming` is null where the table is not captured any more. */
export async function parkedRow(access: RowAccess, incoming: IncomingTable | null, change: Change): Promise<ParkedRow> {
  if (incoming === null) return unreadable(change);
  const { table } = incoming;
  const old = await local(access, incoming, change.old, "old");
  const after = await local(access, incoming, change.new, "new");
  let key: Row = parseRow(change.key || "{}");
  let now: TextRow | null = null;
  let known: TextRow | null = null;
  let readable = true;
  await access.client.query("savepoint parked_row");
  try {
    const image = incoming.image(change.key, "key");
    const here = image === null ? {} : await normalise(access, table, rowOf(image));
    now = await readRow(access, table, here);
    known = now ?? (change.op === "U" ? await lastKnown(access, incoming, here) : null);
    key = here;
  } catch (error) {
    if (!isRowError(error)) throw error;
    await access.client.query("rollback to savepoint parked_row");
    readable = false;
  }
  await access.client.query("release savepoint parked_row");
  // what an update did not touch, the sender has as it is here
  const base = change.op === "I" ? null : { ...known, ...key, ...old };
  const theirs = after === null ? null : { ...(change.op === "U" ? base : {}), ...key, ...after };
  return { key, now, base: base && inColumnOrder(table, base), theirs: theirs && inColumnOrder(table, theirs), readable };
}

function unreadable(change: Change): ParkedRow {
  const [old, after] = [change.old, change.new].map((text) => (text === null ? null : parseRow(text)));
  return { key: parseRow(change.key || "{}"), now: null, base: old ?? null, theirs: after ?? null, readable: false };
}

/** The row as it was before this node deleted it, if its log still tells. */
async function lastKnown(access: RowAccess, { table }: IncomingTable, key: TextRow): Promise<TextRow | null> {
  const canonical = await keyText(access, table, key);
  const log = await changesSince(access, { table, keys: [canonical], position: null, exceptFrom: -1 });
  return (log.get(canonical) ?? []).find(({ op }) => op === "D")?.old ?? null;
}

/** As Postgres would print it; as the sender gave it where a value has no place here. */
async function local(access: RowAccess, incoming: IncomingTable, text: RowText | null, kind: "old" | "new"): Promise<Row | null> {
  if (text === null) return null;
  await access.client.query("savepoint values_here");
  try {
    const image = incoming.image(text, kind);
    const row = image === null ? null : await normalise(access, incoming.table, rowOf(image));
    await access.client.query("release savepoint values_here");
    return row;
  } catch (error) {
    if (!isRowError(error) && !(error instanceof TomboloError)) throw error;
    await access.client.query("rollback to savepoint values_here; release savepoint values_here");
    return parseRow(text);
  }
}
