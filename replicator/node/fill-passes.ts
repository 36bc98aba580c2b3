import type { Change } from "../change/change.ts";
import type { TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { RowText } from "../change/value.ts";
import type { FillScope } from "./table-reader.ts";

/** What a fill says of one table: that it is emptied, or rows that the peer loses or gets. */
export type FillPart =
  | { readonly as: "truncate" }
  | {
      readonly as: "delete" | "insert";
      /** Null: every row. */
      readonly inside: RowFilter | null;
      /** Of those, the ones that are not in it; undefined: all of them, null: none of them. */
      readonly outside: RowFilter | null | undefined;
    };

/** A part that is made of rows. */
export type FillRows = Exclude<FillPart, { readonly as: "truncate" }>;

/**
 * What a fill says, in order: first what the peer loses, tables that refer to others first, then what it gets, tables that are referred to
 * first (the order of `tables`).
 */
export function passes<T extends { readonly name: TableName }>(
  tables: readonly T[],
  scopes: ReadonlyMap<TableName, FillScope>,
): { readonly table: T; readonly part: FillPart }[] {
  const scope = (table: T): FillScope => scopes.get(table.name) ?? { rows: null };
  const lost = tables.toReversed().flatMap((table): { table: T; part: FillPart }[] => {
    const { rows, had } = scope(table);
    if (had === "unknown") return [{ table, part: { as: "truncate" } }];
    return had === undefined || rows === null ? [] : [{ table, part: { as: "delete", inside: had, outside: rows } }];
  });
  const gained = tables.flatMap((table): { table: T; part: FillPart }[] => {
    const { rows, had } = scope(table);
    return had === null ? [] : [{ table, part: { as: "insert", inside: rows, outside: had === "unknown" ? undefined : had } }];
  });
  return [...lost, ...gained];
}

/** A row of a part as a change. */
export const imagesOf = ({ as }: FillRows, row: RowText): Pick<Change, "op" | "old" | "new"> =>
  as === "insert" ? { op: "I", old: null, new: row } : { op: "D", old: row, new: null };

export const truncateOf = (table: number, changedAt: number): Change => ({ table, op: "T", key: "", old: null, new: null, changedAt });
