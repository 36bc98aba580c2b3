import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { ident } from "./identifier.ts";
import type { TextRow } from "./incoming.ts";
import { lockRows, type RowAccess } from "./rows.ts";
import { columnNamed } from "./set-statements.ts";

/**
 * Puts the row as it is now (or its absence) into the log as a refresh for one peer. Runs in a transaction.
 *
 * Whatever has a smaller number in the log than the refresh must be part of it. So the row is locked first, which waits for
 * whoever is writing it; where there is none to lock, see `absentAt`.
 */
export async function putRefresh(access: RowAccess, table: CapturedTable, key: TextRow, peerId: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [row = null] = await lockRows(access, table, [key]);
    const number = row === null ? await absentAt(access, table, key) : "nextval";
    // the row came while its absence was being made sure of
    if (number === null && attempt < 5) continue;
    await insertRefresh(access, table, { key, row, peerId, number: number === null || number === "nextval" ? null : number });
    return;
  }
}

async function insertRefresh(
  access: RowAccess,
  table: CapturedTable,
  refresh: { readonly key: TextRow; readonly row: TextRow | null; readonly peerId: number; readonly number: string | null },
): Promise<void> {
  const { client, hstore } = access;
  const keyTypes = table.key.map((name, index) => `${typed(`$${index + 4}::text`, columnNamed(table, name))} as ${ident(name)}`);
  const at = table.key.length + 4;
  const names = Object.keys(refresh.row ?? {});
  await client.query({
    text: `insert into tombolo.change (seq, table_id, op, segment, target, key, new)
      select coalesce($3::bigint, nextval('tombolo.change_seq')), $1::int, 'R', s.segment, $2::int,
             (select ${hstore}.hstore(r) from (select ${keyTypes.join(", ")}) as r),
             ${refresh.row === null ? "null" : `${hstore}.hstore($${at}::text[], $${at + 1}::text[])`}
        from tombolo.log_state s`,
    values: [
      table.id,
      refresh.peerId,
      refresh.number,
      ...table.key.map((name) => refresh.key[name] ?? null),
      ...(refresh.row === null ? [] : [textArray(names), textArray(names.map((name) => refresh.row?.[name] ?? null))]),
    ],
  });
}

/**
 * A number for the log that was drawn while the row was not there and nobody was writing the table: what is smaller is
 * committed, and an insert that is still to come gets a greater one. Null when the row is there after all. The lock that makes
 * sure of it goes with the savepoint, so that it stops the table's writers for a moment only.
 */
async function absentAt({ client }: RowAccess, table: CapturedTable, key: TextRow): Promise<string | null> {
  await client.query(`savepoint absent; set local lock_timeout = '2s'; lock table ${table.sql} in share mode`);
  const where = table.key
    .map((name, index) => `t.${ident(name)} = ${typed(`$${index + 1}::text`, columnNamed(table, name))}`)
    .join(" and ");
  const { rows } = await client.query<{ number: string | null }>({
    text: `select case when not exists (select from ${table.sql} as t where ${where}) then nextval('tombolo.change_seq') end as number`,
    values: table.key.map((name) => key[name] ?? null),
  });
  await client.query("rollback to savepoint absent; release savepoint absent");
  return rows[0]?.number ?? null;
}
