import { columnsOf, filterCondition } from "../../change/filter-text.ts";
import type { RowFilter } from "../../change/row-filter.ts";
import type { Column } from "../../change/shape.ts";
import { ident } from "./identifier.ts";

/** A table as far as a filter sees it: the columns that travel, and nothing else of it. */
export interface FilteredTable {
  /** Without its schema: what the filter may call it. */
  readonly local: string;
  readonly columns: readonly Column[];
  /** Column name to its collation, quoted and qualified, where that is not its type's own. */
  readonly collations: { readonly [column: string]: string };
}

/** Values for the placeholders of a statement, as they are added to it. */
export class Values {
  readonly all: unknown[];

  constructor(first: readonly unknown[] = []) {
    this.all = [...first];
  }

  /** Answers the placeholder. */
  add(value: unknown): string {
    return `$${this.all.push(value)}`;
  }
}

/**
 * The filter as a condition on columns that are in scope. Every occurrence of a parameter is a placeholder of its own: its type follows from
 * where it stands.
 */
export function condition(filter: RowFilter, values: Values): string {
  const first = values.all.length + 1;
  const { sql, values: bound } = filterCondition(filter, "postgres", (occurrence) => `$${first + occurrence}`);
  for (const value of bound) values.add(value);
  return sql;
}

/** Whether the row that `text` gives column by column is one of the filter's, as a scalar expression. */
export function rowIsIn(
  table: FilteredTable,
  filter: RowFilter,
  { text, values }: { readonly text: (column: Column) => string; readonly values: Values },
): string {
  return overRow(table, filter.text, { condition: () => condition(filter, values), text });
}

/**
 * A filter's condition over the row that `text` gives column by column. The row is a subquery of the columns alone, so that the filter finds neither system columns
 * nor anything else of the statement, and only the columns that it uses are read. Types and collations are the table's.
 */
export function overRow(
  table: FilteredTable,
  filter: string,
  options: { readonly condition: () => string; readonly text: (column: Column) => string },
): string {
  const used = columnsOf(filter, "postgres", table.columns);
  const columns = used.map((column) => `${typedText(table, column, options.text(column))} as ${ident(column.name)}`);
  return `(select ${options.condition()} from (select ${columns.join(", ")}) as ${ident(table.local)})`;
}

/** A value that the column printed, as the column holds it. */
function typedText(table: FilteredTable, { name, type }: Column, text: string): string {
  const collation = table.collations[name];
  return `(${text})::text::${type}${collation === undefined ? "" : ` collate ${collation}`}`;
}

/** The rows of the table itself as a filter sees them: to stand behind FROM. */
export const rowsOf = (table: FilteredTable & { readonly sql: string }): string =>
  `(select ${table.columns.map(({ name }) => ident(name)).join(", ")} from ${table.sql}) as ${ident(table.local)}`;
