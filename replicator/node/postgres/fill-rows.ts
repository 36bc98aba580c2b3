import type { TomboloError } from "../../change/error.ts";
import type { FillRows } from "../fill-passes.ts";
import { filterFailed } from "../filter-fault.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { isServerError, postgresError } from "./postgres-error.ts";
import { condition, rowsOf, Values } from "./row-filter.ts";
import { CLASS_DATA } from "./sqlstate.ts";

/** The statement that reads a part of a fill: key and row as JSON. */
export function selectRows(hstore: string, table: CapturedTable, part: FillRows): { text: string; values: unknown[] } {
  const values = new Values([textArray(table.key)]);
  const inside = part.inside === null ? [] : [condition(part.inside, values)];
  const outside = part.outside === undefined ? [] : [part.outside === null ? "false" : `not ${condition(part.outside, values)}`];
  const where = [...inside, ...outside];
  const text = `select ${hstore}.hstore_to_json(${hstore}.slice(h, $1::text[]))::text, ${hstore}.hstore_to_json(h)::text
    from (select ${hstore}.hstore(t.*) as h from (select * from ${rowsOf(table)}${where.length === 0 ? "" : ` where ${where.join(" and ")}`}) as t offset 0) as r`;
  return { text, values: values.all };
}

/** What reading a part failed with. */
export function rowsError(error: unknown, table: CapturedTable, { inside, outside }: FillRows): TomboloError {
  const filtered = inside !== null || (outside ?? null) !== null;
  const failed = filtered && isServerError(error) && error.code.startsWith(CLASS_DATA);
  return failed ? filterFailed([table.name], error.code) : postgresError(error);
}
