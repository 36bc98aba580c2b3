import type { Column } from "../../change/shape.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { sameImage, typed } from "./column-sql.ts";
import { ident } from "./identifier.ts";

/**
 * The statements that apply many changes at once. Each takes one text[] per listed value and answers the ordinals (from 1)
 * of the changes that did not fit: the row is missing, is there already, or is not what the change was based on. In the
 * ordinary case that is none, and nothing comes back.
 *
 * `x` is materialized so that every cast runs once; the update's check sits in the statement that locks the row, so that a
 * concurrent writer is seen (read committed checks again after waiting).
 */
export interface SetStatement {
  /** For the driver's prepared statements: unique per statement text. */
  readonly name: string;
  readonly text: string;
}

const list = (columns: readonly Column[], expression: (column: Column, index: number) => string, separator = ", "): string =>
  columns.map(expression).join(separator);

/** `unnest($1::text[], …) with ordinality as u(a1, …, ord)`, each value cast once. */
function input(values: readonly { readonly column: Column; readonly as: string }[]): string {
  const parameters = values.map((_, index) => `$${index + 1}::text[]`).join(", ");
  const names = values.map((_, index) => `a${index + 1}`).join(", ");
  const casts = values.map((value, index) => `${typed(`a${index + 1}`, value.column)} as ${value.as}`).join(", ");
  return `select ord, ${casts} from unnest(${parameters}) with ordinality as u(${names}, ord)`;
}

const keyColumns = (table: CapturedTable): Column[] => table.key.map((name) => columnNamed(table, name));

export function columnNamed(table: CapturedTable, name: string): Column {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw new Error(`${table.name} has no column ${name}`);
  return column;
}

const keyMatches = (keys: readonly Column[]): string => list(keys, (key, index) => `t.${ident(key.name)} = x.k${index}`, " and ");

/** Parameters: the key columns, then all columns of the old row. */
export function deleteStatement(table: CapturedTable): string {
  const keys = keyColumns(table);
  const values = [
    ...keys.map((column, index) => ({ column, as: `k${index}` })),
    ...table.columns.map((column, index) => ({ column, as: `o${index}` })),
  ];
  return `with x as materialized (${input(values)}),
    done as (delete from ${table.sql} as t using x where ${keyMatches(keys)} and ${list(table.columns, (column, index) => sameImage(column, `x.o${index}`), " and ")} returning x.ord)
    select x.ord from x where not exists (select from done where done.ord = x.ord) order by x.ord`;
}

/** Parameters: the key columns, then the changed columns before, then after. */
export function updateStatement(table: CapturedTable, changed: readonly Column[]): string {
  const keys = keyColumns(table);
  const values = [
    ...keys.map((column, index) => ({ column, as: `k${index}` })),
    ...changed.map((column, index) => ({ column, as: `o${index}` })),
    ...changed.map((column, index) => ({ column, as: `n${index}` })),
  ];
  return `with x as materialized (${input(values)}),
    done as (update ${table.sql} as t set ${list(changed, (column, index) => `${ident(column.name)} = x.n${index}`)}
      from x where ${keyMatches(keys)} and ${list(changed, (column, index) => sameImage(column, `x.o${index}`), " and ")} returning x.ord)
    select x.ord from x where not exists (select from done where done.ord = x.ord) order by x.ord`;
}

/** Parameters: the columns of the new row. A row whose key exists is left alone and reported. */
export function insertStatement(table: CapturedTable, columns: readonly Column[]): string {
  const position = (name: string): number => columns.findIndex((column) => column.name === name);
  const keys = keyColumns(table);
  const same = list(keys, (key) => `done.${ident(key.name)} = x.n${position(key.name)}`, " and ");
  return `with x as materialized (${input(columns.map((column, index) => ({ column, as: `n${index}` })))}),
    done as (insert into ${table.sql} (${list(columns, (column) => ident(column.name))}) overriding system value
      select ${list(columns, (_, index) => `x.n${index}`)} from x order by x.ord
      on conflict (${list(keys, (key) => ident(key.name))}) do nothing returning ${list(keys, (key) => ident(key.name))})
    select x.ord from x where not exists (select from done where ${same}) order by x.ord`;
}
