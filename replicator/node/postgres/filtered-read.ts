import type { RowFilter } from "../../change/row-filter.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { rowIsIn, type Values } from "./row-filter.ts";

/** A table of which the reader is given some rows. */
export interface ScopedTable {
  readonly table: CapturedTable;
  readonly filter: RowFilter;
}

/** Instead of the operation: an update that was logged before whole images were, so that it does not tell whether its row was the reader's. */
export const UNCLEAR = "?";

/**
 * The select list and the rows of a window for a reader who is given some rows only. An image comes out where the row is the reader's, see
 * `scopedOp`. Each filter is evaluated where its table's changes are, on the columns that it uses (measured: see docs/filters.md).
 * `tags`: more columns to pass on.
 */
export function filteredRows(hstore: string, scoped: readonly ScopedTable[], values: Values, tags = ""): (rows: string) => string {
  const perTable = (expression: (one: ScopedTable) => string, otherwise: string): string =>
    `case c.table_id ${scoped.map((one) => `when ${one.table.id} then ${expression(one)}`).join(" ")} else ${otherwise} end`;
  const isIn = (image: "old" | "new"): string => {
    const inside = ({ table, filter }: ScopedTable): string =>
      rowIsIn(table, filter, { values, text: ({ name }) => `c.${image} operator(${hstore}.->) ${values.add(name)}::text` });
    return `c.${image} is not null and ${perTable(inside, "true")}`;
  };
  const isWhole = ({ table }: ScopedTable): string => {
    const names = `${values.add(textArray(table.columns.map(({ name }) => name)))}::text[]`;
    return `${hstore}.exists_all(c.old, ${names}) and ${hstore}.exists_all(c.new, ${names})`;
  };
  const text = `select c.*, ${isIn("old")} as was, ${isIn("new")} as is_now, c.op = 'U' and not ${perTable(isWhole, "true")} as unclear`;
  return (rows) => `
    select c.seq, c.table_id, case when c.unclear then '${UNCLEAR}'::"char" else c.op end as op, c.key,
           case when c.was and not c.unclear then c.old end as old, case when c.is_now and not c.unclear then c.new end as new, c.changed_at${tags}
      from (${text} from (${rows}) as c offset 0) as c`;
}
