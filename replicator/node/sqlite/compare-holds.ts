import { type NodeName, position, type TableName } from "../../change/names.ts";
import { type CompareHold, type CompareHolds, LONGEST_HOLD_MS, LONGEST_RUN_MS, type NoHold } from "../compare-holds.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";
import { prepared } from "./rows.ts";

interface Found {
  readonly position: bigint | null;
  readonly left_rows: string;
  readonly compared_as: string;
  readonly made_at: string;
  readonly held_until: string | null;
  readonly state: string;
}

/** What a SQLite node keeps of its log for comparisons of what has changed. */
export class SqliteCompareHolds implements CompareHolds {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  begin(peer: NodeName, run: string, tables: Parameters<CompareHolds["begin"]>[2]): Promise<ReadonlyMap<TableName, CompareHold | NoHold>> {
    return this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      const now = this.#clock();
      const until = isoTime(now + LONGEST_RUN_MS);
      const found = new Map<TableName, CompareHold | NoHold>();
      for (const { table, channel } of tables) {
        const row = connection.prepare(FIND).get({ peer, table }) as Found | undefined;
        if (row === undefined) continue;
        found.set(table, holdOf(connection, row, { peer, now: isoTime(now) }));
        connection.prepare(EXTEND).run({ peer, table, until, now: isoTime(now) });
        connection.prepare(HOLD).run({ peer, run, table, channel, until, now: isoTime(now) });
      }
      return found;
    });
  }

  async held(peer: NodeName): Promise<ReadonlySet<TableName>> {
    const sql = `select h.table_name from tombolo_compare_hold h join tombolo_peer p on p.id = h.peer_id
      where p.name = ? and h.running = 0 and h.held_until > ?`;
    const now = isoTime(this.#clock());
    return new Set(this.#file.read((connection) => connection.prepare(sql).pluck().all(peer, now) as TableName[]));
  }

  async compared(peer: NodeName, run: string, tables: Parameters<CompareHolds["compared"]>[2], forMs: number): Promise<void> {
    await this.#file.write((connection) => {
      const now = this.#clock();
      const until = isoTime(now + Math.min(forMs, LONGEST_HOLD_MS));
      for (const { table, left, as } of tables)
        connection.prepare(TAKE_PLACE).run({ peer, run, table, left: JSON.stringify(left), as, until, now: isoTime(now) });
      connection
        .prepare(
          "delete from tombolo_compare_hold where running = 1 and run = ? and peer_id = (select id from tombolo_peer where name = ?)",
        )
        .run(run, peer);
    });
  }
}

const FIND = `
  select h.position, h.left_rows, h.compared_as, h.made_at, h.held_until, c.state
    from tombolo_peer p join tombolo_captured_table c on c.table_name = :table
    left join tombolo_compare_hold h on h.peer_id = p.id and h.table_name = c.table_name and h.running = 0
   where p.name = :peer`;

const EXTEND = `
  update tombolo_compare_hold set held_until = max(held_until, :until)
   where peer_id = (select id from tombolo_peer where name = :peer) and table_name = :table and running = 0 and held_until > :now`;

/** A channel that the peer does not read: nothing is under way to it, and any place that is surely kept will do. */
const HOLD = `
  insert into tombolo_compare_hold (peer_id, table_name, running, run, position, made_at, held_until)
  select p.id, :table, 1, :run,
         coalesce((select cast(j.value as integer) from json_each(p.sent) j where j.key = :channel),
                  (select max(position) from tombolo_tick), 0), :now, :until
    from tombolo_peer p where p.name = :peer
  on conflict (peer_id, table_name, running) do update
     set run = excluded.run, position = excluded.position, held_until = excluded.held_until, made_at = excluded.made_at`;

const TAKE_PLACE = `
  insert into tombolo_compare_hold (peer_id, table_name, running, run, position, left_rows, compared_as, made_at, held_until)
  select peer_id, table_name, 0, run, position, :left, :as, made_at, :until
    from tombolo_compare_hold
   where peer_id = (select id from tombolo_peer where name = :peer) and table_name = :table and running = 1 and run = :run and held_until > :now
  on conflict (peer_id, table_name, running) do update
     set run = excluded.run, position = excluded.position, left_rows = excluded.left_rows, compared_as = excluded.compared_as,
         made_at = excluded.made_at, held_until = excluded.held_until`;

function holdOf(
  connection: Connection,
  row: Found,
  { peer, now }: { readonly peer: NodeName; readonly now: string },
): CompareHold | NoHold {
  if (row.state === "must_compare") return "must_compare";
  if (row.position === null) return "first";
  if (row.held_until === null || row.held_until <= now) return "log_not_kept";
  const filled = prepared(connection, "select 1 from tombolo_full_sync_run where peer = ? and state = 'done' and finished_at > ?");
  if (filled.pluck().get(peer, row.made_at) !== undefined) return "filled_anew";
  return { position: position(row.position), left: (JSON.parse(row.left_rows) as unknown[]).map(String), as: row.compared_as };
}

/** A database of an older version knows no such holds. */
const knowsHolds = (connection: Connection): boolean =>
  prepared(connection, "select 1 from sqlite_schema where type = 'table' and name = 'tombolo_compare_hold'").pluck().get() !== undefined;

/** The lowest position that comparisons hold, in a channel or in all of them; null where there is none. */
export function heldForCompares(connection: Connection, channel: string | null, now: string): bigint | null {
  if (!knowsHolds(connection)) return null;
  return prepared(
    connection,
    `select min(h.position) from tombolo_compare_hold h join tombolo_captured_table c on c.table_name = h.table_name
      where h.held_until > ? and c.channel = coalesce(?, c.channel)`,
  )
    .pluck()
    .get(now, channel) as bigint | null;
}

const TOO_LONG = `held_until > :now
  and (:before is null or exists (select 1 from tombolo_tick t where t.position > tombolo_compare_hold.position and t.sealed_at < :before))`;

/** Whether comparisons hold what was logged before a moment (RFC 3339). */
export const holdsTooLong = (connection: Connection, before: string, now: string): boolean =>
  knowsHolds(connection) &&
  prepared(connection, `select 1 from tombolo_compare_hold where ${TOO_LONG}`).pluck().get({ before, now }) !== undefined;

/** The log is held no longer for comparisons: for those that hold what was logged before a moment, or for all. Answers whether any was. */
export function releaseCompareHolds(connection: Connection, before: string | null, now: string): boolean {
  if (!knowsHolds(connection)) return false;
  return prepared(connection, `update tombolo_compare_hold set held_until = null where ${TOO_LONG}`).run({ now, before }).changes > 0;
}
