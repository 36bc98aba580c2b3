import type { Connection } from "./connection.ts";
import { type ForeignKey, foreignKeysOf, foreignKeysTo } from "./foreign-keys.ts";
import { wordsOf } from "./index-terms.ts";
import { type LocalTable, readTable, type UniqueKey } from "./shape.ts";

/** A unique key, with every column that it looks at in its terms or its condition. */
export interface SharedNothing extends UniqueKey {
  readonly columns: readonly string[];
}

/** What the rules of a table are, as its database has them now. */
export interface Constraints {
  readonly table: LocalTable;
  readonly shared: readonly SharedNothing[];
  readonly references: readonly ForeignKey[];
  readonly referredBy: readonly ForeignKey[];
  /** A row that is taken out and put back would set off an action of a foreign key. (Applications' triggers are off while changes are applied.) */
  readonly deleteActs: boolean;
}

/** Null when there is no such table any more. */
export function readConstraints(connection: Connection, local: string): Constraints | null {
  const table = readTable(connection, local);
  if (table === null) return null;
  const referredBy = foreignKeysTo(connection, local);
  return {
    table,
    shared: table.uniques.map((unique) => ({ ...unique, columns: columnsOf(table, unique) })),
    references: foreignKeysOf(connection, local),
    referredBy,
    deleteActs: referredBy.some(({ onDelete }) => onDelete !== "NO ACTION" && onDelete !== "RESTRICT"),
  };
}

function columnsOf(table: LocalTable, { terms, text }: UniqueKey): string[] {
  const words = new Set(text === null ? [] : wordsOf([...text.terms, text.where ?? ""].join(" ")));
  const named = new Set(terms.flatMap(({ column }) => column ?? []));
  const names = [...table.columns.map(({ name }) => name), ...table.generated];
  return names.filter((name) => named.has(name) || words.has(name.toLowerCase()));
}
