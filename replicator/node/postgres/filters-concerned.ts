import type pg from "pg";
import { filterCondition } from "../../change/filter-text.ts";
import type { RowFilter } from "../../change/row-filter.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { overRow, Values } from "./row-filter.ts";

/** No table of a filter has this name, nor has a column of one. */
const ASKED = "tombolo_asked";

/**
 * Which of the filters, all of one table and one text, choose a row of which something was logged: as it was, as it is, or as it may be where the log does not tell.
 * One statement for all of them, in which their parameters are columns of `types` (see `FilterTypes`). `between`: which changes, as a condition on tombolo.change, and
 * its values. Throws what Postgres says.
 */
export async function filtersConcerned(
  pool: pg.Pool,
  options: {
    readonly table: CapturedTable;
    readonly filters: readonly RowFilter[];
    readonly types: readonly string[];
    readonly hstore: string;
    readonly between: { readonly sql: string; readonly values: readonly unknown[] };
  },
): Promise<ReadonlySet<RowFilter>> {
  const { table, filters, types, hstore, between } = options;
  const forms = filters.map((filter) => filterCondition(filter, "postgres", (occurrence) => `${ASKED}.p${occurrence}`));
  const values = new Values(between.values);
  const given = [
    `${values.add(`{${filters.map((_, at) => at).join(",")}}`)}::int[]`,
    ...types.map((_, at) => `${values.add(textArray(forms.map((form) => form.values[at] ?? null)))}::text[]`),
  ];
  const texts = types.map((_, at) => `t${at}`);
  const typed = types.map((type, at) => `, t${at}::${type} as p${at}`);
  const isIn = (image: "old" | "new"): string => {
    const text = ({ name }: { readonly name: string }): string => `c.${image} operator(${hstore}.->) ${values.add(name)}::text`;
    return `c.${image} is not null and ${overRow(table, filters[0]?.text ?? "", { condition: () => forms[0]?.sql ?? "true", text })}`;
  };
  const whole = `${values.add(textArray(table.columns.map(({ name }) => name)))}::text[]`;
  const isUnclear = `c.op not in ('I', 'U', 'D') or c.op = 'U' and not (${hstore}.exists_all(c.old, ${whole}) and ${hstore}.exists_all(c.new, ${whole}))`;
  const { rows } = await pool.query<{ at: string }>(
    `with changed as materialized (
       select op, old, new from tombolo.change where table_id = ${values.add(table.id)}::int and target is null and ${between.sql}),
     ${ASKED} as materialized (select at${typed.join("")} from unnest(${given.join(", ")}) as given (${["at", ...texts].join(", ")}))
     select at from ${ASKED}
      where exists (select from changed c where ${isUnclear} or ${isIn("old")} or ${isIn("new")})`,
    values.all,
  );
  return new Set(rows.flatMap(({ at }) => filters[Number(at)] ?? []));
}
