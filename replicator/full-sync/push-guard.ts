import { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { TableDifference } from "../node/full-copy.ts";

/** Of a table: so many rows may go unasked, and such a share of what it has. */
const MOST_ROWS = 1_000;
const MOST_PERCENT = 10;
/** One row of three is a third of them, and no sign of a mistake. */
const FEW_ROWS = 10;

/**
 * Throws `FULL_SYNC_DELETES` (operator): a child that was emptied by mistake must not empty its parent. `staged`: rows that the child has. `mayRemove`: what a person
 * has agreed to.
 */
export function requireFewRemoved(
  differences: readonly TableDifference[],
  { staged, mayRemove }: { readonly staged: ReadonlyMap<TableName, number>; readonly mayRemove: number | null },
): void {
  for (const { table, added, removed } of differences) {
    if (mayRemove !== null && removed <= mayRemove) continue;
    const before = (staged.get(table) ?? 0) - added + removed;
    const percent = before <= 0 ? 100 : (removed * 100) / before;
    if (mayRemove === null && (removed <= FEW_ROWS || (removed <= MOST_ROWS && percent <= MOST_PERCENT))) continue;
    throw new TomboloError(
      `${removed} rows of ${table} (${percent.toFixed(percent < 10 ? 1 : 0)} %) that only the hub has would go; nothing was changed`,
      {
        code: "FULL_SYNC_DELETES",
        kind: "operator",
        hint: "make sure that the child really holds the truth; then ask for it at the hub with `--max-deletes` and a number that lets them go",
      },
    );
  }
}
