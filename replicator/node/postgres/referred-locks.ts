import type pg from "pg";
import { prepared } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { type ForeignKey, foreignKeys } from "./foreign-keys.ts";
import { ident } from "./identifier.ts";
import type { TextRow } from "./incoming.ts";
import { rowsAt } from "./set-statements.ts";

/**
 * Under the replica's role a row does not hold on to what it refers to, as a foreign key makes it do. An application that locks a row, looks at
 * what refers to it, and deletes it, would take along by its cascade what has been written in between and it has not seen. So what rows refer to by such
 * a key is locked as the database itself would, behind them: whoever has it must first be done.
 */
export const isHeld = ({ acts, lockable }: ForeignKey): boolean => acts && lockable;

/** Locks what rows that were written refer to by any of these keys. The statements are sent before this returns. Whether some of it is not there. */
export async function lacksReferred(
  client: pg.ClientBase,
  table: CapturedTable,
  referring: { readonly keys: readonly ForeignKey[]; readonly rows: readonly { readonly key: TextRow }[] },
): Promise<boolean> {
  const { keys, rows } = referring;
  if (keys.length === 0) return false;
  const { text, values } = rowsAt(
    table,
    rows.map(({ key }) => key),
  );
  const answers = await Promise.all(keys.map((key) => prepared(client, lockStatement(key, text), values)));
  return answers.some(([row]) => row?.[0] !== "f");
}

function lockStatement({ to, columns }: ForeignKey, rows: string): string {
  const some = columns.map(({ from }) => `f.${ident(from)} is not null`).join(" and ");
  return `with wanted as materialized (select distinct ${columns.map(({ from }, at) => `f.${ident(from)} as w${at}`).join(", ")} from (${rows}) as f where ${some}),
    held as (select from wanted as w join ${to} as t on ${columns.map((column, at) => `t.${ident(column.to)} = w.w${at}`).join(" and ")} for key share of t)
    select (select count(*) from wanted) > (select count(*) from held)`;
}

/**
 * For rows of whole tables: nobody writes the tables, nor has locked a row that they may refer to by such a key, from here to the end of the transaction. Who only reads is not held up.
 */
export async function lockWhole(client: pg.ClientBase, tables: readonly CapturedTable[]): Promise<void> {
  const referred = new Set<string>();
  for (const table of tables) for (const key of (await foreignKeys(client, table)).outward) if (isHeld(key)) referred.add(key.to);
  const others = tables.map(({ sql }) => sql).filter((sql) => !referred.has(sql));
  if (referred.size > 0) await client.query(`lock table ${[...referred].join(", ")} in exclusive mode`);
  if (others.length > 0) await client.query(`lock table ${others.join(", ")} in share row exclusive mode`);
}
