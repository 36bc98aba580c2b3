import { keyFor } from "../../change/key-text.ts";
import type { TableName } from "../../change/names.ts";
import type { Engine } from "../../change/shape.ts";
import type { Row, RowText } from "../../change/value.ts";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { quote } from "./identifier.ts";
import { actingReferrers } from "./referrers.ts";
import { type Bindable, boundValue, prepared } from "./rows.ts";

interface Found {
  readonly table: CapturedTable;
  readonly key: readonly Bindable[];
}

/**
 * The rows that go, or change, with a row that the parent has deleted, by this node's foreign keys. What the parent's deletion took along it has told
 * besides; so these are this node's own. The parent may have taken them over since, where it has made the row that they refer to anew: it is asked
 * for them.
 */
export function takenAlong(
  { connection, context, captured }: Pick<ApplySession, "connection" | "context" | "captured">,
  row: Found,
  /** Of the parent. */
  engine: Engine,
): { readonly table: TableName; readonly key: RowText }[] {
  const found = new Map<string, Found>();
  const open: Found[] = [row];
  for (const { table: to, key } of open) {
    for (const { child, columns, to: referred } of actingReferrers(connection, to.local, context)) {
      const table = captured.get(child) as CapturedTable;
      const refers = columns.map((column, at) => `f.${quote(column)} = ${quote(to.local)}.${quote(referred[at] as string)}`).join(" and ");
      const names = table.key.map((name) => `f.${quote(name)}`).join(", ");
      const sql = `select ${names} from ${quote(to.local)} join ${quote(table.local)} as f on ${refers} where ${keyOf(to)}`;
      for (const values of prepared(connection, sql)
        .raw()
        .all(...key) as Bindable[][]) {
        const one = { table, key: values };
        const id = `${child} ${JSON.stringify(keyRow(one))}`;
        if (found.has(id)) continue;
        found.set(id, one);
        open.push(one);
      }
    }
  }
  return [...found.values()].map((one) => ({ table: one.table.name, key: keyFor(engine, keyRow(one)) }));
}

const keyOf = (table: CapturedTable): string => table.key.map((name) => `${quote(table.local)}.${quote(name)} = ?`).join(" and ");

const keyRow = ({ table, key }: Found): Row => Object.fromEntries(table.key.map((name, at) => [name, boundValue(key[at] ?? null)]));
