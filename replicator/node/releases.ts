import type { TableName } from "../change/names.ts";
import type { Row } from "../change/value.ts";

/** What stands in the way of a change, as far as another change may clear it away: see the engines' `InTheWay`. */
export interface Blocking {
  readonly kind: "taken" | "missing" | "referred";
  readonly other: { readonly captured: TableName | null; readonly key: string | null; readonly row: Row };
}

export const rowId = (table: TableName, key: string): string => `${table}\0${key}`;

interface ReleasesOptions<T> {
  readonly changes: readonly T[];
  /** Where their rows are, by `rowId`. */
  readonly byRow: ReadonlyMap<string, T>;
  /** The table of a change, and the columns that it writes; null where it writes none. */
  readonly written: (change: T) => { readonly table: TableName; readonly row: Row } | null;
}

/** Finds the changes that would clear an obstacle away. */
export class Releases<T> {
  readonly #options: ReleasesOptions<T>;
  readonly #byValues = new Map<string, Map<string, T[]>>();

  constructor(options: ReleasesOptions<T>) {
    this.#options = options;
  }

  of({ kind, other: { captured, key, row } }: Blocking): readonly T[] {
    if (captured === null) return [];
    if (kind === "missing") return this.#writing(captured, Object.keys(row)).get(JSON.stringify(Object.values(row))) ?? [];
    const change = key === null ? undefined : this.#options.byRow.get(rowId(captured, key));
    return change === undefined ? [] : [change];
  }

  #writing(table: TableName, columns: readonly string[]): ReadonlyMap<string, T[]> {
    const id = JSON.stringify([table, columns]);
    let values = this.#byValues.get(id);
    if (values === undefined) {
      values = new Map();
      this.#byValues.set(id, values);
      for (const change of this.#options.changes) {
        const now = this.#options.written(change);
        if (now === null || now.table !== table) continue;
        const written = JSON.stringify(columns.map((name) => now.row[name] ?? null));
        values.set(written, [...(values.get(written) ?? []), change]);
      }
    }
    return values;
  }
}
