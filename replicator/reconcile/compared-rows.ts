import { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { KeyText } from "../node/digest.ts";
import type { DirectLink } from "./compared-link.ts";
import { comparedTables } from "./compared-tables.ts";
import { atCuts } from "./cuts.ts";
import { type CheckedRow, checkRows } from "./row-check.ts";

/** These rows as both ends have them now. Null where the link has no such table. Throws `REQUEST_INVALID` (usage), and why it cannot be compared. */
export async function comparedRows(ends: DirectLink, table: TableName, keys: readonly KeyText[]): Promise<readonly CheckedRow[] | null> {
  const { tables, skipped } = await comparedTables(ends, [table]);
  if (skipped[0] !== undefined) throw skipped[0].error;
  const [compared] = tables;
  if (compared === undefined) return null;
  const { length } = compared.pair.parent.key;
  if (keys.some((key) => (JSON.parse(key) as unknown[]).length !== length)) throw otherKey(table, length);
  return atCuts(ends, [compared], (opened) => checkRows(ends, compared, { opened, index: 0, keys }), [keys]);
}

const otherKey = (table: TableName, length: number): TomboloError =>
  new TomboloError(`a key of ${table} has ${length} ${length === 1 ? "column" : "columns"}`, {
    code: "REQUEST_INVALID",
    kind: "usage",
    hint: "Give keys as the comparison gave them.",
  });
