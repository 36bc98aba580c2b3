import { TomboloError } from "../../change/error.ts";
import type { ApplyContext } from "../target.ts";
import { type CapturedTable, capturedTables } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { type ForeignKey, foreignKeysTo } from "./foreign-keys.ts";
import { quote } from "./identifier.ts";
import { type Bindable, keyCondition, prepared } from "./rows.ts";

/**
 * What refers to a table's rows by a foreign key that would take rows along with them, or change them, and that both sides write. Rows that a deletion of the
 * child's meets it has not deleted or changed itself: it does not know them, and its deletion must not touch them. Those that a deletion of the parent's meets
 * are the child's own: see `takenAlong`.
 */
export function actingReferrers(connection: Connection, local: string, context: ApplyContext): ForeignKey[] {
  const acting = foreignKeysTo(connection, local).filter(({ onDelete }) => ["CASCADE", "SET NULL", "SET DEFAULT"].includes(onDelete));
  if (acting.length === 0) return acting;
  const twoWay = new Set(
    [...capturedTables(connection).values()]
      .filter(({ name }) => context.rules.has(name) && context.rules.get(name)?.oneWay !== true)
      .map(({ local: name }) => name.toLowerCase()),
  );
  return acting.filter(({ child }) => twoWay.has(child));
}

/** SQL that is true of a row `table` that nothing of the kind refers to; null where nothing can. */
export function withoutReferrers(connection: Connection, table: CapturedTable, context: ApplyContext): string | null {
  const conditions = actingReferrers(connection, table.local, context).map(({ child, columns, to }) => {
    const refers = columns.map((column, at) => `f.${quote(column)} = ${quote(table.local)}.${quote(to[at] as string)}`);
    // a row may refer to itself
    const itself = table.key.map((name) => `f.${quote(name)} = ${quote(table.local)}.${quote(name)}`).join(" and ");
    if (child === table.local.toLowerCase()) refers.push(`not (${itself})`);
    return `not exists (select 1 from ${quote(child)} f where ${refers.join(" and ")})`;
  });
  return conditions.length === 0 ? null : conditions.join(" and ");
}

/** Throws when others refer to a row of a parent's that a child has deleted: nothing goes that the child has not seen. */
export function mustNotTakeAlong(
  connection: Connection,
  row: { readonly table: CapturedTable; readonly key: readonly Bindable[]; readonly context: ApplyContext; readonly source: string },
): void {
  const { table, key, context, source } = row;
  const free = withoutReferrers(connection, table, context);
  if (free === null) return;
  const sql = `select 1 from ${quote(table.local)} where ${keyCondition(table)} and not (${free})`;
  if (prepared(connection, sql).get(...key) === undefined) return;
  throw new TomboloError(`rows that ${source} has not seen refer to the row of ${table.name}`, {
    code: "FOREIGN_KEY_VIOLATION",
    kind: "operator",
  });
}
