import type { Column } from "../../change/shape.ts";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { ident } from "./identifier.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";
import { lockRows, normalise, updateRow } from "./rows.ts";
import { columnNamed } from "./set-statements.ts";

/** Values that no application uses, for columns that take no NULL. */
const STAND_INS: { readonly [base: string]: string } = {
  text: "'tombolo:' || gen_random_uuid()",
  varchar: "left(md5(random()::text), 8)",
  uuid: "gen_random_uuid()",
  int8: "-(random() * 9e18)::bigint",
  int4: "-(random() * 2e9)::integer",
};

/**
 * Updates that hand unique values around in a circle: none of them can go first. Their rows are given stand-ins, then the new values.
 * Only rows that are what the updates were based on take part; throws the database's error when it cannot be done so.
 */
export async function applyPermutation(session: ApplySession, changes: readonly IncomingChange[]): Promise<void> {
  const tables = new Set(changes.map((incoming) => incoming.table.table));
  for (const table of tables) {
    const own = changes.filter((incoming) => incoming.table.table === table);
    const unique = await uniqueColumns(session, table);
    const rows = await lockRows(
      session,
      table,
      own.map((incoming) => incoming.key),
    );
    for (const [index, incoming] of own.entries()) {
      await mustBeTheBase(session, incoming, rows[index] ?? null);
      const sets = Object.keys(incoming.new ?? {})
        .filter((name) => unique.has(name))
        .map((name) => `${ident(name)} = ${standIn(columnNamed(table, name))}`);
      if (sets.length > 0)
        await session.client.query(`update ${table.sql} as t set ${sets.join(", ")} where ${keyIs(table)}`, keyOf(table, incoming));
    }
    for (const incoming of own) await updateRow(session, table, incoming.key, incoming.new ?? {});
  }
}

const keyIs = (table: CapturedTable): string =>
  table.key.map((name, index) => `t.${ident(name)} = $${index + 1}::${columnNamed(table, name).type}`).join(" and ");

const keyOf = (table: CapturedTable, incoming: IncomingChange): (string | null)[] => table.key.map((name) => incoming.key[name] ?? null);

function standIn(column: Column): string {
  if (!column.notNull) return "null";
  const value = STAND_INS[column.base ?? column.type];
  if (value === undefined) throw notPossible();
  return value;
}

async function mustBeTheBase(session: ApplySession, incoming: IncomingChange, row: TextRow | null): Promise<void> {
  const before = await normalise(session, incoming.table.table, incoming.old ?? {});
  if (row === null || Object.keys(before).some((name) => before[name] !== row[name])) throw notPossible();
}

/** Like the error that brought us here: the change stays refused. */
const notPossible = (): Error => Object.assign(new Error("the unique values cannot be handed around"), { code: "23505" });

async function uniqueColumns(session: ApplySession, table: CapturedTable): Promise<Set<string>> {
  const { rows } = await session.client.query({
    text: `select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
            where i.indrelid = $1::regclass and i.indisunique`,
    values: [table.sql],
    rowMode: "array",
  });
  return new Set((rows as [string][]).flat().filter((name) => !table.key.includes(name)));
}
