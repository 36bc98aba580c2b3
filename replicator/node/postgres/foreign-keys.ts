import type pg from "pg";
import { type TableName, tableName } from "../../change/names.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { ident, qualified } from "./identifier.ts";

/** A foreign key between two tables, of which at least one is captured. */
export interface ForeignKey {
  readonly name: string;
  /** Quoted and qualified. */
  readonly from: string;
  readonly to: string;
  /** The captured table that it is of; null for one that is not captured. */
  readonly of: TableName | null;
  /** The columns of that table's key; empty where it is not captured. */
  readonly key: readonly string[];
  readonly columns: readonly { readonly from: string; readonly to: string }[];
  /** Whether it does something to rows whose row goes: deletes them, or changes them. */
  readonly acts: boolean;
  /** Whether this role may lock rows of the table that it refers to. */
  readonly lockable: boolean;
}

export interface ForeignKeys {
  /** Of other tables, or its own, to the table. */
  readonly inward: readonly ForeignKey[];
  readonly outward: readonly ForeignKey[];
}

const known = new WeakMap<Pick<CapturedTable, "sql">, ForeignKeys>();

/** Undefined before they were first read. */
export const knownForeignKeys = (table: CapturedTable): ForeignKeys | undefined => known.get(table);

/** The foreign keys of a table, in both directions. Read once for as long as the table is captured as it is. */
export async function foreignKeys(client: pg.ClientBase, table: Pick<CapturedTable, "sql">): Promise<ForeignKeys> {
  const before = known.get(table);
  if (before !== undefined) return before;
  const { rows } = await client.query<{ [column: string]: string | null }>({
    text: `select f.conname as name, c.table_name as of, to_json(c.key_columns)::text as key, fn.nspname as from_schema, fc.relname as from_table, tn.nspname as to_schema,
                  tc.relname as to_table, f.confdeltype in ('c', 'n', 'd') as acts,
                  has_table_privilege(f.confrelid, 'select') and has_table_privilege(f.confrelid, 'update') as lockable, f.confrelid = $1::regclass as inward,
                  f.conrelid = $1::regclass as outward,
                  (select json_agg(json_build_object('from', a.attname, 'to', b.attname) order by k.n)::text
                     from unnest(f.conkey, f.confkey) with ordinality as k(a, b, n)
                     join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.a
                     join pg_attribute b on b.attrelid = f.confrelid and b.attnum = k.b) as columns
             from pg_constraint f
             join pg_class fc on fc.oid = f.conrelid join pg_namespace fn on fn.oid = fc.relnamespace
             join pg_class tc on tc.oid = f.confrelid join pg_namespace tn on tn.oid = tc.relnamespace
             left join tombolo.captured_table c on c.relation = f.conrelid
            where f.contype = 'f' and f.conparentid = 0 and $1::regclass in (f.conrelid, f.confrelid)
            order by f.conname`,
    values: [table.sql],
  });
  const key = (row: (typeof rows)[number]): ForeignKey => ({
    name: row.name as string,
    from: qualified(row.from_schema as string, row.from_table as string),
    to: qualified(row.to_schema as string, row.to_table as string),
    of: row.of == null ? null : tableName(row.of),
    key: JSON.parse(row.key ?? "[]") as string[],
    columns: JSON.parse(row.columns as string) as ForeignKey["columns"],
    acts: row.acts === "t",
    lockable: row.lockable === "t",
  });
  const found = {
    inward: rows.filter(({ inward }) => inward === "t").map(key),
    outward: rows.filter(({ outward }) => outward === "t").map(key),
  };
  known.set(table, found);
  return found;
}

/** SQL: row `f` of the referring table refers to row `t` of the other. */
export const refers = ({ columns }: ForeignKey): string => columns.map(({ from, to }) => `f.${ident(from)} = t.${ident(to)}`).join(" and ");
