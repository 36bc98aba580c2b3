import type { RowFilter } from "../../change/row-filter.ts";
import { scopedOp } from "../scoped-change.ts";
import type { CapturedTable, StoredShape } from "./captured-tables.ts";
import type { NetChange } from "./chains.ts";
import type { Connection } from "./connection.ts";
import { type Image, literalToValue, splitImage } from "./image.ts";
import { filteredTable, type Held, rowTest } from "./row-filter.ts";
import { stored } from "./rows.ts";

/** Whether the row of an image is one of the reader's. */
export type ImageTest = (image: Image) => boolean;

/** Rows of a table share the values that filters look at: what was found for them last is remembered. */
const MOST_REMEMBERED = 1_000;

/** For images of one shape, which may be older than the table is now: what they lack is NULL. */
export function imageTest(connection: Connection, table: CapturedTable, shape: StoredShape, filter: RowFilter): ImageTest {
  const test = rowTest(filteredTable(connection, table), filter);
  const places = test.columns.map((name) => shape.columns.findIndex((column) => column.name === name));
  const found = new Map<string, boolean>();
  return (image) => {
    const all = splitImage(image);
    const literals = places.map((place) => (place < 0 ? "NULL" : (all[place] ?? "NULL")));
    const id = literals.join();
    let isIn = found.get(id);
    if (isIn === undefined) {
      isIn = test.has(literals.map(held));
      if (found.size >= MOST_REMEMBERED) found.clear();
      found.set(id, isIn);
    }
    return isIn;
  };
}

/** A text that is not UTF-8 is in the log as its bytes. */
const held = (literal: string): Held =>
  literal.startsWith("T") ? { text: Buffer.from(literal.slice(2, -1), "hex") } : stored(literalToValue(literal));

/** What a change is to a reader who is given some rows only; null when it is nothing. */
export function scopedChange(net: NetChange, isIn: ImageTest): NetChange | null {
  const old = net.old !== null && isIn(net.old) ? net.old : null;
  const now = net.new !== null && isIn(net.new) ? net.new : null;
  const op = scopedOp(net.op, { old, new: now });
  return op === null ? null : { ...net, op: op as NetChange["op"], old, new: now };
}
