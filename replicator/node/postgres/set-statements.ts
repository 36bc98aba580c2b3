import type { Column } from "../../change/shape.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { sameImage, typed } from "./column-sql.ts";
import { ident } from "./identifier.ts";
import type { TextRow } from "./incoming.ts";

/**
 * The statements that apply many changes at once. Each takes one text[] per listed value and answers the ordinals (from 1)
 * of the changes that did not fit: the row is missing, is there already, or is not what the change was based on. In the
 * ordinary case that is none, and nothing comes back.
 *
 * `x` is materialized so that every cast runs once; the update's check sits in the statement that locks the row, so that a
 * concurrent writer is seen (read committed checks again after waiting).
 */
export interface Step {
  /** `x as …, done as …`: what is done. */
  readonly ctes: string;
  /** A select of the ordinals that did not fit, as `ord`. */
  readonly missed: string;
  /** How many parameters it takes. */
  readonly parameters: number;
}

/** Where a step stands among others of one statement. */
export interface Place {
  /** Before the names of its CTEs. */
  readonly prefix: string;
  /** Parameters before its first. */
  readonly after: number;
}

const ALONE: Place = { prefix: "", after: 0 };

/** Column name to an expression that is written instead of the change's value. */
export type StandIns = ReadonlyMap<string, string>;

const NONE: StandIns = new Map();

const list = (columns: readonly Column[], expression: (column: Column, index: number) => string, separator = ", "): string =>
  columns.map(expression).join(separator);

/** `unnest($1::text[], …) with ordinality as u(a1, …, ord)`, each value cast once. */
function input(values: readonly { readonly column: Column; readonly as: string }[], after: number): string {
  const parameters = values.map((_, index) => `$${after + index + 1}::text[]`).join(", ");
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

/** Keys as `ord`, `k0`, … of a `select` whose parameters come after the first `after`; `matches`: how they find rows of `t` from `x`. */
export function keysIn(
  table: CapturedTable,
  keys: readonly TextRow[],
  after = 0,
): { readonly text: string; readonly matches: string; readonly values: string[] } {
  const columns = keyColumns(table);
  return {
    text: input(
      columns.map((column, index) => ({ column, as: `k${index}` })),
      after,
    ),
    matches: keyMatches(columns),
    values: table.key.map((name) => textArray(keys.map((key) => key[name] ?? null))),
  };
}

/** The rows of the table that have these keys, as a `select` of its columns; parameters as in `keysIn`. */
export function rowsAt(table: CapturedTable, keys: readonly TextRow[], after = 0): { readonly text: string; readonly values: string[] } {
  const { text, matches, values } = keysIn(table, keys, after);
  return { text: `select t.* from (${text}) as x join ${table.sql} as t on ${matches}`, values };
}

/** Columns of values as `ord` and their names of a `select`, each value through its column's type. */
export const valuesIn = (
  columns: readonly { readonly column: Column; readonly as: string; readonly values: readonly (string | null)[] }[],
): { readonly text: string; readonly values: string[] } => ({
  text: input(columns, 0),
  values: columns.map(({ values }) => textArray(values)),
});

/** The numbers of those that `done` does not hold. */
const missing = ({ prefix }: Place): string =>
  `select x.ord from ${prefix}x as x where not exists (select from ${prefix}done as done where done.ord = x.ord)`;

/** Parameters: the key columns, then all columns of the old row. */
export function deleteStep(table: CapturedTable, place: Place): Step {
  const keys = keyColumns(table);
  const values = [
    ...keys.map((column, index) => ({ column, as: `k${index}` })),
    ...table.columns.map((column, index) => ({ column, as: `o${index}` })),
  ];
  const same = list(table.columns, (column, index) => sameImage(column, `x.o${index}`), " and ");
  return {
    ctes: `${place.prefix}x as materialized (${input(values, place.after)}),
    ${place.prefix}done as (delete from ${table.sql} as t using ${place.prefix}x as x where ${keyMatches(keys)} and ${same} returning x.ord)`,
    missed: missing(place),
    parameters: values.length,
  };
}

/** Parameters: the key columns, then the changed columns before, then after. */
export function updateStep(table: CapturedTable, changed: readonly Column[], place: Place, standIns = NONE): Step {
  const keys = keyColumns(table);
  const values = [
    ...keys.map((column, index) => ({ column, as: `k${index}` })),
    ...changed.map((column, index) => ({ column, as: `o${index}` })),
    ...changed.map((column, index) => ({ column, as: `n${index}` })),
  ];
  const sets = list(changed, (column, index) => `${ident(column.name)} = ${standIns.get(column.name) ?? `x.n${index}`}`);
  const same = list(changed, (column, index) => sameImage(column, `x.o${index}`), " and ");
  return {
    ctes: `${place.prefix}x as materialized (${input(values, place.after)}),
    ${place.prefix}done as (update ${table.sql} as t set ${sets}
      from ${place.prefix}x as x where ${keyMatches(keys)} and ${same} returning x.ord)`,
    missed: missing(place),
    parameters: values.length,
  };
}

/**
 * Parameters: the columns of the new row. A row whose key exists is left alone and reported. `behind` are steps (their prefixes) that have
 * to be done first.
 */
export function insertStep(
  table: Pick<CapturedTable, "sql" | "key">,
  columns: readonly Column[],
  place: Place,
  options: { readonly standIns?: StandIns; readonly behind?: readonly string[] } = {},
): Step {
  const { standIns = NONE, behind = [] } = options;
  const position = (name: string): number => columns.findIndex((column) => column.name === name);
  const same = table.key.map((name) => `done.${ident(name)} = x.n${position(name)}`).join(" and ");
  const waits = behind.map((prefix) => `(select count(*) from ${prefix}done) >= 0`).join(" and ");
  const x = `${place.prefix}x`;
  return {
    ctes: `${x} as materialized (${input(
      columns.map((column, index) => ({ column, as: `n${index}` })),
      place.after,
    )}),
    ${place.prefix}done as (insert into ${table.sql} (${list(columns, (column) => ident(column.name))}) overriding system value
      select ${list(columns, (column, index) => standIns.get(column.name) ?? `x.n${index}`)} from ${x} as x${waits === "" ? "" : ` where ${waits}`} order by x.ord
      on conflict (${table.key.map(ident).join(", ")}) do nothing returning ${table.key.map(ident).join(", ")})`,
    missed: `select x.ord from ${x} as x where not exists (select from ${place.prefix}done as done where ${same})`,
    parameters: columns.length,
  };
}

/** Parameters: the key columns, then the columns after. Whatever the rows are now. */
export function settleStep(table: CapturedTable, columns: readonly Column[], place: Place): Step {
  const keys = keyColumns(table);
  const values = [
    ...keys.map((column, index) => ({ column, as: `k${index}` })),
    ...columns.map((column, index) => ({ column, as: `n${index}` })),
  ];
  return {
    ctes: `${place.prefix}x as materialized (${input(values, place.after)}),
    ${place.prefix}done as (update ${table.sql} as t set ${list(columns, (column, index) => `${ident(column.name)} = x.n${index}`)}
      from ${place.prefix}x as x where ${keyMatches(keys)} returning x.ord)`,
    missed: missing(place),
    parameters: values.length,
  };
}

const alone = ({ ctes, missed }: Step): string => `with ${ctes}\n    ${missed} order by x.ord`;

/** As `settleStep`, by itself. */
export const settleStatement = (table: CapturedTable, columns: readonly Column[]): string => alone(settleStep(table, columns, ALONE));

export const deleteStatement = (table: CapturedTable): string => alone(deleteStep(table, ALONE));

export const updateStatement = (table: CapturedTable, changed: readonly Column[]): string => alone(updateStep(table, changed, ALONE));

export const insertStatement = (table: CapturedTable, columns: readonly Column[]): string => alone(insertStep(table, columns, ALONE));

/** Parameters: the key columns. Answers the ordinals of those whose rows are there. */
export function presentStatement(table: CapturedTable): string {
  const keys = keyColumns(table);
  const values = keys.map((column, index) => ({ column, as: `k${index}` }));
  return `with x as materialized (${input(values, 0)}) select x.ord from x join ${table.sql} as t on ${keyMatches(keys)} order by x.ord`;
}

/** Locks those of the rows that are there, one after the other in the order of their keys. */
export function lockStatement(
  table: CapturedTable,
  keys: readonly TextRow[],
  strength: "update" | "no key update",
): { readonly text: string; readonly values: string[] } {
  const { text, matches, values } = keysIn(table, keys);
  const order = table.key.map((_, index) => `x.k${index}`).join(", ");
  return {
    text: `with x as materialized (${text}),
      locked as (select 1 from x join ${table.sql} as t on ${matches} order by ${order} for ${strength} of t)
      select count(*) from locked`,
    values,
  };
}

/** One statement of several steps: foreign keys are checked when all of them are done. Answers the number of a step and the ordinals that did not fit in it. */
export const together = (steps: readonly Step[]): string =>
  `with ${steps.map(({ ctes }) => ctes).join(",\n    ")}
    ${steps.map(({ missed }, index) => `select ${index}::text as step, missed.ord::text from (${missed}) as missed`).join("\n    union all ")}`;
