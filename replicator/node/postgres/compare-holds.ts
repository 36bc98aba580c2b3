import type pg from "pg";
import { type NodeName, position, type TableName } from "../../change/names.ts";
import { type CompareHold, type CompareHolds, LONGEST_HOLD_MS, LONGEST_RUN_MS, type NoHold } from "../compare-holds.ts";
import { textArray } from "./array-literal.ts";
import { transaction } from "./connection.ts";
import { requireCurrent } from "./migrate.ts";
import { postgresError } from "./postgres-error.ts";

const later = (ms: string): string => `clock_timestamp() + ${ms} * interval '1 millisecond'`;

interface Found {
  readonly table_name: string;
  readonly position: string | null;
  readonly left_rows: string;
  readonly compared_as: string;
  readonly held: string;
  readonly filled: string;
  readonly marked: string;
}

/** What a Postgres node keeps of its log for comparisons of what has changed. */
export class PostgresCompareHolds implements CompareHolds {
  readonly #pool: pg.Pool;

  constructor(options: { readonly pool: pg.Pool }) {
    this.#pool = options.pool;
  }

  async begin(
    peer: NodeName,
    run: string,
    tables: Parameters<CompareHolds["begin"]>[2],
  ): Promise<ReadonlyMap<TableName, CompareHold | NoHold>> {
    const names = textArray(tables.map(({ table }) => table));
    const channels = textArray(tables.map(({ channel }) => channel));
    try {
      await requireCurrent(this.#pool);
      const rows = await transaction(this.#pool, async (client) => {
        // while it is locked nothing more is acknowledged, and so nothing beyond what it says is purged
        await client.query("select from tombolo.peer where name = $1 for update", [peer]);
        await client.query(EXTEND, [peer, names, LONGEST_RUN_MS]);
        const { rows: found } = await client.query<Found>(FIND, [peer, names]);
        await client.query(HOLD, [peer, names, channels, LONGEST_RUN_MS, run]);
        return found;
      });
      return new Map(rows.map((row) => [row.table_name as TableName, holdOf(row)]));
    } catch (error) {
      throw postgresError(error);
    }
  }

  async held(peer: NodeName): Promise<ReadonlySet<TableName>> {
    try {
      const { rows } = await this.#pool.query<{ table_name: string }>(
        `select h.table_name from tombolo.compare_hold h join tombolo.peer p on p.id = h.peer_id
          where p.name = $1 and not h.running and h.held_until > clock_timestamp()`,
        [peer],
      );
      return new Set(rows.map((row) => row.table_name as TableName));
    } catch (error) {
      throw postgresError(error);
    }
  }

  async compared(peer: NodeName, run: string, tables: Parameters<CompareHolds["compared"]>[2], forMs: number): Promise<void> {
    const values = [
      peer,
      textArray(tables.map(({ table }) => table)),
      textArray(tables.map(({ left }) => JSON.stringify(left))),
      textArray(tables.map(({ as }) => as)),
      Math.min(forMs, LONGEST_HOLD_MS),
      run,
    ];
    try {
      await transaction(this.#pool, async (client) => {
        await client.query(TAKE_PLACE, values);
        await client.query(
          "delete from tombolo.compare_hold where running and run = $2 and peer_id = (select id from tombolo.peer where name = $1)",
          [peer, run],
        );
      });
    } catch (error) {
      throw postgresError(error);
    }
  }
}

const FIND = `
  select c.table_name, h.position, h.left_rows::text, h.compared_as, coalesce(h.held_until > clock_timestamp(), false) as held,
         exists (select from tombolo.full_sync_run r where r.peer = p.name and r.state = 'done' and r.finished_at > h.made_at) as filled,
         c.state = 'must_compare' as marked
    from tombolo.peer p
    join tombolo.captured_table c on c.table_name = any ($2::text[])
    left join tombolo.compare_hold h on h.peer_id = p.id and h.table_name = c.table_name and not h.running
   where p.name = $1`;

const EXTEND = `
  update tombolo.compare_hold h set held_until = greatest(h.held_until, ${later("$3::float8")})
    from tombolo.peer p
   where p.name = $1 and h.peer_id = p.id and not h.running and h.table_name = any ($2::text[]) and h.held_until > clock_timestamp()`;

/** A channel that the peer does not read: nothing is under way to it, and any place that is surely kept will do. */
const HOLD = `
  insert into tombolo.compare_hold (peer_id, table_name, running, run, position, held_until)
  select p.id, w.table_name, true, $5,
         coalesce((p.sent ->> w.channel)::bigint, (select min(s.position::bigint) from jsonb_each_text(p.sent) as s(channel, position)),
                  (select max(position) from tombolo.tick), 0), ${later("$4::float8")}
    from tombolo.peer p, unnest($2::text[], $3::text[]) as w(table_name, channel)
   where p.name = $1
  on conflict (peer_id, table_name, running) do update
     set run = excluded.run, position = excluded.position, held_until = excluded.held_until, made_at = clock_timestamp()`;

const TAKE_PLACE = `
  insert into tombolo.compare_hold (peer_id, table_name, running, run, position, left_rows, compared_as, made_at, held_until)
  select h.peer_id, h.table_name, false, h.run, h.position, w.left_rows::json, w.compared_as, h.made_at, ${later("$5::float8")}
    from tombolo.peer p
    join tombolo.compare_hold h on h.peer_id = p.id and h.running and h.run = $6 and h.held_until > clock_timestamp()
    join unnest($2::text[], $3::text[], $4::text[]) as w(table_name, left_rows, compared_as) on w.table_name = h.table_name
   where p.name = $1
  on conflict (peer_id, table_name, running) do update
     set run = excluded.run, position = excluded.position, left_rows = excluded.left_rows, compared_as = excluded.compared_as,
         made_at = excluded.made_at, held_until = excluded.held_until`;

function holdOf(row: Found): CompareHold | NoHold {
  if (row.marked === "t") return "must_compare";
  if (row.position === null) return "first";
  if (row.held !== "t") return "log_not_kept";
  if (row.filled === "t") return "filled_anew";
  const left = (JSON.parse(row.left_rows) as string[]).map(String);
  return { position: position(row.position), left, as: row.compared_as };
}

/** SQL: the lowest position that comparisons hold; null where there is none. A database of an older version has no such table. */
export async function heldForCompares(pool: pg.Pool): Promise<bigint | null> {
  if (!(await knowsHolds(pool))) return null;
  const { rows } = await pool.query<{ oldest: string | null }>(
    "select min(position) as oldest from tombolo.compare_hold where held_until > clock_timestamp()",
  );
  const oldest = rows[0]?.oldest;
  return oldest === null || oldest === undefined ? null : BigInt(oldest);
}

/** The log is held no longer for comparisons: for those that hold more than `keepMs` of it, or for all. Answers whether any was. */
export async function releaseCompareHolds(pool: pg.Pool, keepMs: number | null): Promise<boolean> {
  if (!(await knowsHolds(pool))) return false;
  const { rowCount } = await pool.query(
    `update tombolo.compare_hold set held_until = null
      where held_until > clock_timestamp() and ($1::float8 is null or position < (
        select max(position) from tombolo.tick where sealed_at < clock_timestamp() - $1::float8 * interval '1 millisecond'))`,
    [keepMs],
  );
  return (rowCount ?? 0) > 0;
}

async function knowsHolds(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query<{ known: string }>("select to_regclass('tombolo.compare_hold') is not null as known");
  return rows[0]?.known === "t";
}
