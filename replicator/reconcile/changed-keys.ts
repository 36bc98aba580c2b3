import { TomboloError } from "../change/error.ts";
import type { NodeName, Position, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { RowText } from "../change/value.ts";
import type { KeyText } from "../node/digest.ts";
import type { Node } from "../node/node.ts";
import { positionNow } from "../node/position-now.ts";
import type { WholeReason } from "../node/reconcile-desk.ts";

/** A table whose changes are asked for. */
export interface ChangedTable {
  readonly name: TableName;
  /** The rows that the reader is given; null for all of them. */
  readonly filter: RowFilter | null;
  readonly keyOf: (key: RowText) => KeyText;
}

/** The rows that a log has news of, or why that does not tell which to look at. */
export type ChangedKeys = ReadonlySet<KeyText> | Extract<WholeReason, "emptied" | "too_many" | "log_not_kept">;

/** Of one table and one node: beyond so many the memory is better spent on reading all rows in their order. */
export const MOST_CHANGED = 100_000;
/** Groups of a log are read in pieces of this size. */
const GROUP = { maxRows: 5_000, maxBytes: 4 << 20 };

/**
 * Which rows of these tables a node's log has news of after a position that it holds for comparisons with the reader, for that reader and until now. What
 * came from the reader is in its own log.
 */
export async function changedKeys(
  { log, copies, compareHolds }: Pick<Node, "log" | "copies" | "compareHolds">,
  { reader, after, tables }: { readonly reader: NodeName; readonly after: Position; readonly tables: readonly ChangedTable[] },
): Promise<readonly ChangedKeys[]> {
  const found: (Set<KeyText> | "emptied" | "too_many")[] = tables.map(() => new Set());
  const upTo = await positionNow({ copies });
  const filters = new Map(tables.flatMap(({ name, filter }) => (filter === null ? [] : [[name, filter]])));
  try {
    // nothing was logged since: there is no window to read
    const windows = upTo > after ? log.read({ reader, tables: tables.map(({ name }) => name), after, upTo, filters, ...GROUP }) : [];
    for await (const group of windows) {
      for (const { table, op, key } of group) {
        const keys = found[table];
        if (typeof keys !== "object") continue;
        if (op === "T") found[table] = "emptied";
        else if (keys.add((tables[table] as ChangedTable).keyOf(key)).size > MOST_CHANGED) found[table] = "too_many";
      }
      if (found.every((keys) => typeof keys !== "object")) break;
    }
  } catch (error) {
    if (error instanceof TomboloError && error.code === "POSITION_UNKNOWN") return tables.map(() => "log_not_kept");
    throw error;
  }
  // limits of the log may have ended the hold, and parts be gone without a trace
  const held = await compareHolds.held(reader);
  return found.map((keys, at) => (held.has(tables[at]?.name as TableName) ? keys : "log_not_kept"));
}
