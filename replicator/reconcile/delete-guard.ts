import { TomboloError } from "../change/error.ts";
import type { TableComparison } from "./comparison.ts";

/** How many rows of a child's table a repair may delete without asking. */
export interface DeleteGuard {
  /** Null for any number: somebody has looked at them. */
  readonly maxRows: number | null;
  /** Of the rows that were compared, 0 to 100. Does not count for `FEW_ROWS` and fewer. */
  readonly maxPercent: number;
}

export const DELETE_GUARD: DeleteGuard = { maxRows: 1_000, maxPercent: 10 };

/** One row of three is a third of them, and no sign of a mistake. */
const FEW_ROWS = 10;

/** Rows that only the child has, and would lose. */
export const deletesOf = ({ table, differences }: TableComparison): number =>
  table.direction === "up" ? 0 : differences.filter(({ kind }) => kind === "only_child").length;

/** Throws `RECONCILE_DELETES` (operator): a parent that was emptied by mistake must not empty its children. */
export function requireGuarded({ table, compared }: TableComparison, deletes: number, { maxRows, maxPercent }: DeleteGuard): void {
  if (maxRows === null || deletes === 0) return;
  const percent = compared === 0 ? 100 : (deletes * 100) / compared;
  if (deletes <= maxRows && (deletes <= FEW_ROWS || percent <= maxPercent)) return;
  throw new TomboloError(
    `${table.name} was not repaired: ${deletes} rows (${percent.toFixed(percent < 10 ? 1 : 0)} %) that only the child has would be deleted there`,
    {
      code: "RECONCILE_DELETES",
      kind: "operator",
      hint: "look at them; then give `--yes`, or `--max-deletes` with a number that lets them go",
    },
  );
}
