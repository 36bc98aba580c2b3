import type pg from "pg";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { ident } from "./identifier.ts";
import type { TextRow } from "./incoming.ts";
import { lockRows, type RowAccess } from "./rows.ts";
import { columnNamed, keysIn } from "./set-statements.ts";
import type { LogGate } from "./slot/log-gate.ts";
import { LOCK_NOT_AVAILABLE } from "./sqlstate.ts";

/**
 * Where the application and the replicator wait for each other, it is the replicator that gives way: it waits for a short while only before it looks whether anyone
 * waits for it. The server, which looks once somebody has waited for a second (deadlock_timeout), would end the transaction of whoever that is.
 */
const LOCK_PATIENCE = "40ms";
const LOCK_ATTEMPTS = 10;
const WAITED_FOR = "select exists (select from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid))) as waits";

/** `gate`: whatever is in the log has a smaller number than the refresh, and must be part of it; so what is part of it must be there. */
export type RefreshAccess = RowAccess & { readonly gate: LogGate };

/**
 * Puts the row as it is now (or its absence) into the log as a refresh for one peer. Runs in a transaction.
 *
 * Whatever has a smaller number in the log than the refresh must be part of it. So the row is locked first, which waits for
 * whoever is writing it; where there is none to lock, see `absentAt`. `changedAt` is when the row became what it is (microseconds since
 * 1970): the peer judges its own children's changes by it. Null where it is not known: then it is now, and in doubt the peer's row stays.
 */
export async function putRefresh(
  access: RefreshAccess,
  table: CapturedTable,
  {
    key,
    peerId,
    changedAt,
    logged = false,
  }: {
    readonly key: TextRow;
    readonly peerId: number;
    readonly changedAt: number | null;
    /** The row has been locked since before the log was last waited for. */
    readonly logged?: boolean;
  },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [row = null] = await lockRows(access, table, [key]);
    if (row !== null && !logged) await access.gate.complete();
    const [number = null] = row === null ? await absentAt(access, table, [key]) : ["nextval"];
    // the row came while its absence was being made sure of
    if (number === null && attempt < 5) continue;
    await insertRefresh(access, table, { key, row, peerId, changedAt, number: number === null || number === "nextval" ? null : number });
    return;
  }
}

/**
 * Gives the refreshes that this transaction has logged the times of the changes that made their rows, as far as the log tells of what the peer
 * has not acknowledged. Their rows are locked, so that nothing is added meanwhile. One look at that part of the log, however many they are.
 */
export async function stampRefreshes({ client, hstore }: RowAccess, peerId: number): Promise<void> {
  await client.query({
    text: `with since as (
        select coalesce((select pg_snapshot_xmin(snapshot) from tombolo.tick
                          where position >= (select min(at::bigint) from tombolo.peer p, jsonb_each_text(p.sent) as s(channel, at) where p.id = $1)
                          order by position limit 1), '0'::xid8) as xid),
      told as materialized (select seq, table_id, key from tombolo.change where xid = pg_current_xact_id() and op = 'R' and target = $1),
      last as (
        select distinct on (told.seq) told.seq, c.changed_at
          from told join tombolo.change c on c.table_id = told.table_id and c.key operator(${hstore}.=) told.key
         where c.target is null and c.xid >= (select xid from since)
         order by told.seq, c.seq desc)
      update tombolo.change r set changed_at = last.changed_at from last where r.xid = pg_current_xact_id() and r.seq = last.seq`,
    values: [peerId],
  });
}

/** Puts rows that are there, and locked since the log was complete, into it as refreshes for one peer. `changedAt`: as in `putRefresh`. */
export function presentRefreshes(
  { hstore }: Pick<RefreshAccess, "hstore">,
  table: CapturedTable,
  { rows, peerId }: { readonly rows: readonly { readonly key: TextRow; readonly changedAt: number | null }[]; readonly peerId: number },
): pg.QueryConfig {
  const columns = table.columns.map(({ name }) => name);
  const { text, matches, values } = keysIn(
    table,
    rows.map(({ key }) => key),
    3,
  );
  const times = rows.map(({ changedAt }) => (changedAt === null ? null : String(changedAt / 1e6)));
  return {
    text: `with x as materialized (${text})
      insert into tombolo.change (table_id, op, segment, target, changed_at, key, new)
      select $1::int, 'R', s.segment, $2::int, coalesce(to_timestamp(($3::float8[])[x.ord]), clock_timestamp()),
             ${hstoreOf(hstore, "t", table.key)}, ${hstoreOf(hstore, "t", columns)}
        from x join ${table.sql} as t on ${matches}, tombolo.log_state s
       order by x.ord`,
    values: [table.id, peerId, textArray(times), ...values],
  };
}

/** The named columns of a row `from`, as the log keeps them. */
export const hstoreOf = (hstore: string, from: string, names: readonly string[]): string =>
  `(select ${hstore}.hstore(r.*) from (select ${names.map((name) => `${from}.${ident(name)}`).join(", ")}) as r)`;

/**
 * Puts every row of a table into the log as a refresh for one peer. The table's writers wait until the transaction ends: whatever has a smaller
 * number in the log is part of what is told.
 */
export async function refreshAll({ client, hstore, gate }: RefreshAccess, table: CapturedTable, peerId: number): Promise<void> {
  const columns = table.columns.map(({ name }) => name);
  await client.query(`lock table ${table.sql} in share mode`);
  await gate.complete();
  await client.query({
    text: `insert into tombolo.change (table_id, op, segment, target, key, new)
      select $1::int, 'R', s.segment, $2::int, ${hstoreOf(hstore, "t", table.key)}, ${hstoreOf(hstore, "t", columns)}
        from ${table.sql} as t, tombolo.log_state s`,
    values: [table.id, peerId],
  });
}

async function insertRefresh(
  access: RowAccess,
  table: CapturedTable,
  refresh: {
    readonly key: TextRow;
    readonly row: TextRow | null;
    readonly peerId: number;
    readonly changedAt: number | null;
    readonly number: string | null;
  },
): Promise<void> {
  const { client, hstore } = access;
  const keyTypes = table.key.map((name, index) => `${typed(`$${index + 5}::text`, columnNamed(table, name))} as ${ident(name)}`);
  const at = table.key.length + 5;
  const names = Object.keys(refresh.row ?? {});
  await client.query({
    text: `insert into tombolo.change (seq, table_id, op, segment, target, changed_at, key, new)
      select coalesce($3::bigint, nextval('tombolo.change_seq')), $1::int, 'R', s.segment, $2::int, coalesce(to_timestamp($4::float8), clock_timestamp()),
             (select ${hstore}.hstore(r.*) from (select ${keyTypes.join(", ")}) as r),
             ${refresh.row === null ? "null" : `${hstore}.hstore($${at}::text[], $${at + 1}::text[])`}
        from tombolo.log_state s`,
    values: [
      table.id,
      refresh.peerId,
      refresh.number,
      refresh.changedAt === null ? null : refresh.changedAt / 1e6,
      ...table.key.map((name) => refresh.key[name] ?? null),
      ...(refresh.row === null ? [] : [textArray(names), textArray(names.map((name) => refresh.row?.[name] ?? null))]),
    ],
  });
}

/**
 * Numbers for the log that were drawn while the rows were not there and nobody was writing the table: what is smaller is
 * committed, and an insert that is still to come gets a greater one. Null for a row that is there after all. The lock that makes
 * sure of it goes with the savepoint, so that it stops the table's writers for a moment only.
 */
export async function absentAt(
  { client, gate }: RefreshAccess,
  table: CapturedTable,
  keys: readonly TextRow[],
): Promise<(string | null)[]> {
  await lockTable(client, table);
  await gate.complete();
  const { text, matches, values } = keysIn(table, keys);
  const { rows } = await client.query<{ number: string | null }>({
    text: `with x as materialized (${text})
      select case when not exists (select from ${table.sql} as t where ${matches}) then nextval('tombolo.change_seq') end as number from x order by x.ord`,
    values,
  });
  await client.query("rollback to savepoint absent; release savepoint absent");
  return keys.map((_, at) => rows[at]?.number ?? null);
}

/** Under a savepoint. Throws what the server does when it could not be had, or somebody waits for this transaction meanwhile: that is tried again as a whole. */
async function lockTable(client: RefreshAccess["client"], table: CapturedTable): Promise<void> {
  await client.query("savepoint absent");
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(`set local lock_timeout = '${LOCK_PATIENCE}'; lock table ${table.sql} in share mode`);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE || attempt === LOCK_ATTEMPTS) throw error;
      await client.query("rollback to savepoint absent");
      const { rows } = await client.query<{ waits: string }>(WAITED_FOR);
      if (rows[0]?.waits === "t") throw error;
    }
  }
}
