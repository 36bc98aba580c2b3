import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { keyCondition, prepared } from "./rows.ts";

interface ForeignKey {
  readonly child: string;
  readonly parent: string;
  readonly columns: readonly { readonly from: string; readonly to: string }[];
}

/** Whether a table declares a foreign key that is checked at the commit, or is referred to by one. */
export function hasDeferredKeys(connection: Connection, local: string): boolean {
  const sql = `select 1 from sqlite_schema s where s.type = 'table' and s.sql like '%initially%deferred%'
    and (s.name = :local collate nocase or exists (select 1 from pragma_foreign_key_list(s.name) f where f.[table] = :local collate nocase))`;
  return prepared(connection, sql).pluck().get({ local }) !== undefined;
}

/** The changes after which a row refers to one that is not there. */
export function danglingChanges(
  connection: Connection,
  tables: ReadonlySet<IncomingTable>,
  changes: readonly IncomingChange[],
): Set<IncomingChange> {
  const keys = foreignKeys(connection);
  const dangling = new Set<IncomingChange>();
  for (const incoming of changes) {
    if (!tables.has(incoming.table)) continue;
    const local = incoming.table.table.local.toLowerCase();
    const { op } = incoming.change;
    const violated =
      op === "D"
        ? keys.some((key) => key.parent === local && leavesOrphans(connection, key, incoming))
        : keys.some((key) => key.child === local && isOrphan(connection, key, incoming));
    if (violated) dangling.add(incoming);
  }
  return dangling;
}

function foreignKeys(connection: Connection): ForeignKey[] {
  const rows = prepared(
    connection,
    `select s.name, f.id, lower(f.[table]), f.[from],
            coalesce(f.[to], (select i.name from pragma_table_info(f.[table]) i where i.pk = f.seq + 1))
       from sqlite_schema s, pragma_foreign_key_list(s.name) f
      where s.type = 'table' and s.sql like '%initially%deferred%' order by s.name, f.id, f.seq`,
  )
    .raw()
    .all() as [string, bigint, string, string, string][];
  const keys = new Map<string, { child: string; parent: string; columns: { from: string; to: string }[] }>();
  for (const [child, id, parent, from, to] of rows) {
    const name = `${child} ${id}`;
    const key = keys.get(name) ?? { child: child.toLowerCase(), parent, columns: [] };
    key.columns.push({ from, to });
    keys.set(name, key);
  }
  return [...keys.values()];
}

function isOrphan(connection: Connection, key: ForeignKey, { table, key: values }: IncomingChange): boolean {
  const refers = key.columns.map(({ from }) => `c.${quote(from)} is not null`).join(" and ");
  const matches = key.columns.map(({ from, to }) => `p.${quote(to)} = c.${quote(from)}`).join(" and ");
  const sql = `select 1 from ${quote(table.table.local)} as c where ${keyCondition(table.table)} and ${refers}
    and not exists (select 1 from ${quote(key.parent)} as p where ${matches})`;
  return (
    prepared(connection, sql)
      .pluck()
      .get(...values) !== undefined
  );
}

function leavesOrphans(connection: Connection, key: ForeignKey, { old, table, key: values }: IncomingChange): boolean {
  const image = new Map(old?.set.names.map((name, at) => [name.toLowerCase(), old.values[at] ?? null]));
  const gone =
    prepared(connection, `select 1 from ${quote(table.table.local)} where ${keyCondition(table.table)}`)
      .pluck()
      .get(...values) === undefined;
  if (!gone) return false;
  const matches = key.columns.map(({ from }) => `${quote(from)} = ?`).join(" and ");
  const referred = key.columns.map(({ to }) => image.get(to.toLowerCase()) ?? null);
  const parents = key.columns.map(({ to }) => `${quote(to)} = ?`).join(" and ");
  const sql = `select 1 from ${quote(key.child)} where ${matches} and not exists (select 1 from ${quote(key.parent)} where ${parents}) limit 1`;
  return (
    prepared(connection, sql)
      .pluck()
      .get(...referred, ...referred) !== undefined
  );
}
