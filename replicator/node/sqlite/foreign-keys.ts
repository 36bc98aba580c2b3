import type { Connection } from "./connection.ts";
import { prepared } from "./rows.ts";

/** Tables such that those that are referred to come first; where they refer to each other in a ring, in the order given. */
export function parentsFirst<T extends { readonly local: string }>(connection: Connection, tables: readonly T[]): T[] {
  const byName = new Map(tables.map((table) => [table.local.toLowerCase(), table]));
  const ordered = new Set<T>();
  const entered = new Set<T>();
  const visit = (table: T): void => {
    if (entered.has(table)) return;
    entered.add(table);
    const references = prepared(connection, "select distinct lower([table]) from pragma_foreign_key_list(?)")
      .pluck()
      .all(table.local) as string[];
    for (const name of references) {
      const parent = byName.get(name);
      if (parent !== undefined) visit(parent);
    }
    ordered.add(table);
  };
  for (const table of tables) visit(table);
  return [...ordered];
}
