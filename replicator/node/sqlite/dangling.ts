import type { Connection } from "./connection.ts";
import { deferredForeignKeys, type ForeignKey, foreignKeysOf, foreignKeysTo } from "./foreign-keys.ts";
import { quote } from "./identifier.ts";
import type { IncomingChange } from "./incoming.ts";
import { keyCondition, prepared } from "./rows.ts";

/** Whether a table declares a foreign key that is checked at the commit, or is referred to by one. */
export function hasDeferredKeys(connection: Connection, local: string): boolean {
  const name = local.toLowerCase();
  return deferredForeignKeys(connection).some(({ child, parent }) => child === name || parent === name);
}

/** The changes after which a row refers to one that is not there. */
export function danglingChanges(connection: Connection, changes: Iterable<IncomingChange>): Set<IncomingChange> {
  const known = new Map<string, { readonly from: readonly ForeignKey[]; readonly to: readonly ForeignKey[] }>();
  const dangling = new Set<IncomingChange>();
  for (const incoming of changes) {
    const { local } = incoming.table.table;
    const keys = known.get(local) ?? { from: foreignKeysOf(connection, local), to: foreignKeysTo(connection, local) };
    known.set(local, keys);
    const violated =
      keys.to.some((key) => leavesOrphans(connection, key, incoming)) ||
      (incoming.change.op !== "D" && keys.from.some((key) => isOrphan(connection, key, incoming)));
    if (violated) dangling.add(incoming);
  }
  return dangling;
}

function isOrphan(connection: Connection, key: ForeignKey, { table, key: values }: IncomingChange): boolean {
  const refers = key.columns.map((from) => `c.${quote(from)} is not null`).join(" and ");
  const matches = key.columns.map((from, at) => `p.${quote(key.to[at] as string)} = c.${quote(from)}`).join(" and ");
  const sql = `select 1 from ${quote(table.table.local)} as c where ${keyCondition(table.table)} and ${refers}
    and not exists (select 1 from ${quote(key.parent)} as p where ${matches})`;
  return (
    prepared(connection, sql)
      .pluck()
      .get(...values) !== undefined
  );
}

/** A row, or the values that others refer to, are gone, and others still refer to them. */
function leavesOrphans(connection: Connection, key: ForeignKey, { old }: IncomingChange): boolean {
  const image = new Map(old?.set.names.map((name, at) => [name.toLowerCase(), old.values[at] ?? null]));
  const referred = key.to.map((to) => image.get(to.toLowerCase()) ?? null);
  if (referred.includes(null)) return false;
  const matches = key.columns.map((from) => `${quote(from)} = ?`).join(" and ");
  const parents = key.to.map((to) => `${quote(to)} = ?`).join(" and ");
  const sql = `select 1 from ${quote(key.child)} where ${matches} and not exists (select 1 from ${quote(key.parent)} where ${parents}) limit 1`;
  return (
    prepared(connection, sql)
      .pluck()
      .get(...referred, ...referred) !== undefined
  );
}
