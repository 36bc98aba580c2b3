import { type Row, sameValue } from "../change/value.ts";

/** One of several versions of a row. */
export interface Side {
  readonly title: string;
  /** Null when there is no row; a column that it lacks is not known. */
  readonly row: Row | null;
}

/** The columns in which the versions that are rows, and hold the column, are not all the same. */
export function differingColumns(sides: readonly Side[]): ReadonlySet<string> {
  const different = new Set<string>();
  for (const column of columnsOf(sides)) {
    const [first, ...others] = sides.flatMap(({ row }) => (row !== null && Object.hasOwn(row, column) ? [row[column] ?? null] : []));
    if (others.some((value) => !sameValue(value, first))) different.add(column);
  }
  return different;
}

/** In the order of the version that knows most columns, the last of those that know as many. */
export function columnsOf(sides: readonly Side[]): readonly string[] {
  const known = sides.map(({ row }) => Object.keys(row ?? {})).reverse();
  return [...new Set([...known].sort((a, b) => b.length - a.length).flat())];
}
