import type { Reference } from "../../change/shape.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { prepared } from "./rows.ts";

/** A foreign key. Names of tables are in lower case, as SQLite does not tell them apart by case. */
export interface ForeignKey {
  readonly child: string;
  readonly parent: string;
  /** The columns that refer, and those that they refer to. */
  readonly columns: readonly string[];
  readonly to: readonly string[];
  /** `NO ACTION`, `RESTRICT`, `CASCADE`, `SET NULL`, `SET DEFAULT`. */
  readonly onDelete: string;
}

const SELECT = `
  select lower(s.name), f.id, lower(f.[table]), f.[from], f.on_delete,
         coalesce((select i.name from pragma_table_info(f.[table]) i where iif(f.[to] is null, i.pk = f.seq + 1, i.name = f.[to] collate nocase)), f.[to])
    from sqlite_schema s, pragma_foreign_key_list(s.name) f where s.type = 'table'`;

/** The foreign keys of a table. */
export const foreignKeysOf = (connection: Connection, local: string): ForeignKey[] =>
  read(connection, "s.name = :local collate nocase", { local });

/** The foreign keys that refer to a table. */
export const foreignKeysTo = (connection: Connection, local: string): ForeignKey[] =>
  read(connection, "f.[table] = :local collate nocase", { local });

/** Those of tables some of whose foreign keys are checked at the commit. */
export const deferredForeignKeys = (connection: Connection): ForeignKey[] => read(connection, "s.sql like '%initially%deferred%'", {});

function read(connection: Connection, where: string, values: { readonly local?: string }): ForeignKey[] {
  const rows = prepared(connection, `${SELECT} and ${where} order by s.name, f.id, f.seq`).raw().all(values) as [
    string,
    bigint,
    string,
    string,
    string,
    string | null,
  ][];
  const keys = new Map<string, { child: string; parent: string; columns: string[]; to: string[]; onDelete: string }>();
  for (const [child, id, parent, from, onDelete, to] of rows) {
    const name = `${child} ${id}`;
    const key = keys.get(name) ?? { child, parent, columns: [], to: [], onDelete };
    key.columns.push(from);
    key.to.push(to ?? "");
    keys.set(name, key);
  }
  return [...keys.values()];
}

/** What a table refers to among the tables that travel. */
export function referencesOf(connection: Connection, local: string, captured: Iterable<CapturedTable>): Reference[] {
  const keys = foreignKeysOf(connection, local);
  if (keys.length === 0) return [];
  const names = new Map([...captured].map((table) => [table.local.toLowerCase(), table.name]));
  return keys.flatMap(({ parent, columns, to }) => {
    const table = names.get(parent);
    return table === undefined ? [] : [{ table, columns, to }];
  });
}

/** Tables such that those that are referred to come first; where they refer to each other in a ring, in the order given. */
export function parentsFirst<T extends { readonly local: string }>(connection: Connection, tables: readonly T[]): T[] {
  const byName = new Map(tables.map((table) => [table.local.toLowerCase(), table]));
  const ordered = new Set<T>();
  const entered = new Set<T>();
  const visit = (table: T): void => {
    if (entered.has(table)) return;
    entered.add(table);
    for (const name of new Set(foreignKeysOf(connection, table.local).map(({ parent }) => parent))) {
      const parent = byName.get(name);
      if (parent !== undefined) visit(parent);
    }
    ordered.add(table);
  };
  for (const table of tables) visit(table);
  return [...ordered];
}
