import { type Position, position, type TableName } from "../change/names.ts";
import { parseRow } from "../change/value.ts";
import type { Node } from "../node/node.ts";
import { operationName } from "../observability/status-report.ts";
import { type RowJson, rowJson } from "./row-json.ts";

/** A change as JSON answers carry it. */
export interface ChangeReport {
  readonly table: string;
  readonly op: string;
  readonly key: RowJson;
  readonly old: RowJson | null;
  readonly new: RowJson | null;
  readonly changed_at: string;
}

export interface ChangesPage {
  readonly changes: readonly ChangeReport[];
  /** Where the next page begins. */
  readonly next: Place;
  /** There is more already. */
  readonly more: boolean;
}

/**
 * Where a reader stands: after a position, or inside the window that ends at the tick `upTo`, of which it has had the first `had` changes.
 * A window is read in the same order every time.
 */
export interface Place {
  readonly after: Position;
  readonly upTo: Position | null;
  readonly had: number;
}

const MAX_BYTES = 4 * 2 ** 20;

/** `12`, or `12.15.200` inside a window; null for anything else. */
export function readPlace(text: string): Place | null {
  const [, after, upTo, had] = /^(\d{1,18})(?:\.(\d{1,18})\.(\d{1,9}))?$/.exec(text) ?? [];
  if (after === undefined) return null;
  return { after: position(after), upTo: upTo === undefined ? null : position(upTo), had: Number(had ?? 0) };
}

export const writePlace = ({ after, upTo, had }: Place): string => (upTo === null ? `${after}` : `${after}.${upTo}.${had}`);

/** Whatever has changed in a node since, whoever it came from. Throws `POSITION_UNKNOWN` (operator) when the log no longer reaches back. */
export async function changesSince({ log }: Node, tables: readonly TableName[], place: Place, limit: number): Promise<ChangesPage> {
  const upTo = place.upTo ?? (await log.tick()).position;
  const changes: ChangeReport[] = [];
  let passed = 0;
  // one more tells whether there is a next page
  for await (const group of log.read({ reader: null, tables, after: place.after, upTo, maxRows: limit, maxBytes: MAX_BYTES })) {
    for (const change of group) {
      passed += 1;
      if (passed <= place.had || changes.length > limit) continue;
      changes.push({
        table: tables[change.table] ?? "",
        op: operationName(change.op),
        key: change.key === "" ? {} : rowJson(parseRow(change.key)),
        old: change.old === null ? null : rowJson(parseRow(change.old)),
        new: change.new === null ? null : rowJson(parseRow(change.new)),
        changed_at: new Date(change.changedAt / 1000).toISOString(),
      });
    }
    if (changes.length > limit) break;
  }
  if (changes.length <= limit) return { changes, next: { after: upTo, upTo: null, had: 0 }, more: false };
  return { changes: changes.slice(0, limit), next: { after: place.after, upTo, had: place.had + limit }, more: true };
}
