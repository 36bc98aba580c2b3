import { type Row, sameValue } from "../change/value.ts";
import type { Clash } from "../change/verdict.ts";

/** Columns that are decided together: those of one group, or one by itself. */
export type Unit = readonly string[];

/** What both sides did to one unit, measured against the base. */
export interface Edit {
  readonly unit: Unit;
  readonly byChild: boolean;
  readonly byParent: boolean;
  /** The two sides do not hold the same now. */
  readonly differs: boolean;
}

/** The columns, each in its group or by itself. Names in groups are matched as SQLite does where none is the very same. */
export function unitsOf(columns: readonly string[], groups: Clash["groups"]): Unit[] {
  const named = (name: string): string | undefined =>
    columns.find((column) => column === name) ?? columns.find((column) => column.toLowerCase() === name.toLowerCase());
  const grouped = groups.map((group) => group.flatMap((name) => named(name) ?? []));
  const taken = new Set(grouped.flat());
  return [...grouped.filter((unit) => unit.length > 0), ...columns.filter((column) => !taken.has(column)).map((column) => [column])];
}

/**
 * What each side did to each unit of the row. Of a column that the child did not change the base is known as far as the parent's log
 * tells; where it does not, the parent is taken to have left the column alone. Without any base (two inserts) both sides made every column.
 */
export function editsOf({ base, child, changed, groups }: Clash, parent: Row): Edit[] {
  const own = new Set(changed);
  return unitsOf(Object.keys(parent), groups).map((unit) => ({
    unit,
    byChild: unit.some((column) => own.has(column) && (base === null || !sameValue(base[column], child?.[column]))),
    byParent: unit.some((column) => base === null || (Object.hasOwn(base, column) && !sameValue(parent[column], base[column]))),
    differs: unit.some((column) => child !== null && Object.hasOwn(child, column) && !sameValue(parent[column], child[column])),
  }));
}

/** The columns that the child's change names and that it did change: one that went away and came back is no edit. */
export const edited = ({ changed, base, child }: Clash): string[] =>
  changed.filter((column) => !sameValue(base?.[column], child?.[column]));

/** Whether the row holds what is known in `image`. */
export const agree = (image: Row | null, row: Row): boolean =>
  Object.entries(image ?? {}).every(([column, value]) => sameValue(value, row[column]));

export const pick = (row: Row | null, columns: readonly string[]): Row =>
  Object.fromEntries(columns.flatMap((column) => (row && Object.hasOwn(row, column) ? [[column, row[column] ?? null]] : [])));

export const knows = (row: Row | null, columns: readonly string[]): boolean =>
  row !== null && columns.every((column) => Object.hasOwn(row, column));
