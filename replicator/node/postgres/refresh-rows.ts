import type pg from "pg";
import type { TableName } from "../../change/names.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable, CapturedTables } from "./captured-tables.ts";
import { transaction } from "./connection.ts";
import { ident } from "./identifier.ts";
import type { TextRow } from "./incoming.ts";
import { absentAt, presentRefreshes, putRefresh, type RefreshAccess, stampRefreshes } from "./refresh.ts";
import { isRowError } from "./row-error.ts";
import { lockRows } from "./rows.ts";
import { keysIn } from "./set-statements.ts";

/** Rows of one transaction: their writers wait for it. */
const AT_ONCE = 200;

export interface Asked {
  readonly table: TableName;
  /** As JSON. */
  readonly key: string;
}

/**
 * Puts many rows into the log as refreshes for one peer, some at a time. They are locked in the order in which packets lock theirs (`LockOrder`). A row that cannot
 * be read now, in a table that was dropped or altered, is not told: that table is marked to be compared, and no other waits for it.
 */
export async function refreshRows(
  { pool, tables, ...access }: Omit<RefreshAccess, "client"> & { readonly pool: pg.Pool; readonly tables: CapturedTables },
  peerId: number,
  rows: readonly Asked[],
): Promise<void> {
  const keys = new Map<TableName, Set<string>>();
  for (const { table, key } of rows) keys.set(table, (keys.get(table) ?? new Set()).add(key));
  for (const table of await tables.named([...keys.keys()].sort())) {
    const asked = [...(keys.get(table.name) ?? [])].sort().map((key) => JSON.parse(key) as TextRow);
    for (let from = 0; from < asked.length; from += AT_ONCE) {
      const some = asked.slice(from, from + AT_ONCE);
      await transaction(pool, async (client) => {
        const session = { ...access, client };
        if (!(await attempted(session, () => putRefreshes(session, table, { keys: some, peerId })))) {
          for (const key of some) await attempted(session, () => putRefresh(session, table, { key, peerId, changedAt: null }));
        }
        await stampRefreshes(session, peerId);
      });
    }
  }
}

/** False, and nothing done, where a row could not be read. */
async function attempted({ client }: RefreshAccess, work: () => Promise<void>): Promise<boolean> {
  await client.query("savepoint refresh");
  try {
    await work();
  } catch (error) {
    if (!isRowError(error)) throw error;
    await client.query("rollback to savepoint refresh; release savepoint refresh");
    return false;
  }
  await client.query("release savepoint refresh");
  return true;
}

interface Refreshed {
  readonly keys: readonly TextRow[];
  readonly peerId: number;
}

/** As `putRefresh` does for one, with one look for all that are there and one for all that are not. */
async function putRefreshes(access: RefreshAccess, table: CapturedTable, { keys, peerId }: Refreshed): Promise<void> {
  const found = await lockRows(access, table, keys);
  await access.gate.complete();
  const there = keys.filter((_, at) => found[at] !== null);
  const away = keys.filter((_, at) => found[at] === null);
  // they are locked: they are what they were when the log was complete
  if (there.length > 0)
    await access.client.query(presentRefreshes(access, table, { rows: there.map((key) => ({ key, changedAt: null })), peerId }));
  if (away.length === 0) return;
  const numbers = await absentAt(access, table, away);
  const absent = away.flatMap((key, at) => (numbers[at] == null ? [] : [{ key, number: numbers[at] }]));
  if (absent.length > 0) await insertAbsent(access, table, { absent, peerId });
  // they came while their absence was being made sure of
  for (const [at, key] of away.entries()) if (numbers[at] == null) await putRefresh(access, table, { key, peerId, changedAt: null });
}

async function insertAbsent(
  { client, hstore }: RefreshAccess,
  table: CapturedTable,
  { absent, peerId }: { readonly absent: readonly { readonly key: TextRow; readonly number: string }[]; readonly peerId: number },
): Promise<void> {
  const { text, values } = keysIn(
    table,
    absent.map(({ key }) => key),
    3,
  );
  const key = `(select ${hstore}.hstore(r.*) from (select ${table.key.map((name, at) => `x.k${at} as ${ident(name)}`).join(", ")}) as r)`;
  await client.query({
    text: `with x as materialized (${text})
      insert into tombolo.change (seq, table_id, op, segment, target, key)
      select ($3::text[])[x.ord]::bigint, $1::int, 'R', s.segment, $2::int, ${key} from x, tombolo.log_state s`,
    values: [table.id, peerId, textArray(absent.map(({ number }) => number)), ...values],
  });
}
