import type pg from "pg";
import { HOLD_HOURS } from "../full-sync-runs.ts";
import { LEFT_BEHIND } from "../retention.ts";
import { heldForCompares } from "./compare-holds.ts";

/** A segment is left for the next one when it is larger than this. */
const SEGMENT_BYTES = 32 * 1024 * 1024;
const SEGMENTS = 3;

/**
 * Keeps the change log small without making a writer wait: a full segment is left for the next empty one, and a segment that
 * every reader has passed is truncated, if its lock can be had at once. Answers what it did.
 *
 * `oldest` is the lowest position that a reader still needs; null when no one reads.
 */
export async function purge(
  pool: pg.Pool,
  oldest: bigint | null,
  segmentBytes = SEGMENT_BYTES,
): Promise<{ rotated: boolean; truncated: number }> {
  const { rows } = await pool.query<{ segment: string }>("select segment from tombolo.log_state");
  const current = Number(rows[0]?.segment ?? 0);
  let truncated = 0;
  for (let segment = 0; segment < SEGMENTS; segment++) {
    if (segment !== current && (await truncateIfRead(pool, segment, oldest))) truncated += 1;
  }
  const rotated = await rotateIfFull(pool, current, segmentBytes);
  // the newest stays, whatever a neighbour says that it has read
  await pool.query(
    `delete from tombolo.tick where position < least($1::bigint, (select max(position) from tombolo.tick))
        and sealed_at < clock_timestamp() - interval '1 minute'`,
    [(oldest ?? 0n).toString()],
  );
  return { rotated, truncated };
}

/**
 * The lowest position that is needed: 0 while anyone has acknowledged nothing, as its first rows are in the log, but for a child that is to be filled anew; null when no one reads. By readers, for the next
 * comparison, and by this node itself (`seen` of the last receipt): what a parent has judged since its last packet (see `Target.apply`), and what came to a child
 * since its last packet, among which are deletions of rows that its next packet may edit.
 */
export async function oldestNeeded(pool: pg.Pool): Promise<bigint | null> {
  const { rows } = await pool.query<{ oldest: string | null }>(
    `select least(case when bool_or(p.sent = '{}' and not (p.role = 'child' and p.state in ('snapshot', 'must_resync'))) then 0 else min(needed.position::bigint) end, (${HELD})) as oldest
       from tombolo.peer p
       left join lateral (
         select position from jsonb_each_text(p.sent) as s(channel, position)
         union all
         select position from jsonb_each_text(p.received_receipt -> 'seen') as s(channel, position)
       ) as needed on true
      where p.state <> 'must_resync' or p.reason is distinct from $1`,
    [LEFT_BEHIND],
  );
  const read = rows[0]?.oldest ?? null;
  const compared = await heldForCompares(pool);
  if (read === null || compared === null) return read === null ? compared : BigInt(read);
  return BigInt(read) < compared ? BigInt(read) : compared;
}

/** What full syncs will read from, those that may be resumed among them. */
const HELD = `select min((to_jsonb(r) ->> 'position')::bigint) from tombolo.full_sync_run r
  where r.state in ('running', 'interrupted') and to_jsonb(r) ->> 'side' = 'source'
    and (to_jsonb(r) ->> 'heartbeat_at')::timestamptz > clock_timestamp() - interval '${HOLD_HOURS} hours'`;

async function rotateIfFull(pool: pg.Pool, current: number, segmentBytes: number): Promise<boolean> {
  const next = (current + 1) % SEGMENTS;
  const { rowCount } = await pool.query(
    `select setval('tombolo.log_segment', $2::bigint) from tombolo.log_state
      where segment = $1::smallint and pg_relation_size('tombolo.change_${current}') > $3::bigint
        and not exists (select from tombolo.change_${next})`,
    [current, next, segmentBytes],
  );
  return rowCount === 1;
}

/**
 * Only when all of it is below the cut: every transaction that wrote to it had ended when the oldest needed tick was made. Those below the cut's
 * `xmin` had, so the index tells of the others at once; this is looked at with the segment locked.
 */
async function truncateIfRead(pool: pg.Pool, segment: number, oldest: bigint | null): Promise<boolean> {
  const table = `tombolo.change_${segment}`;
  const passed = `not exists (
    select from (select snapshot from tombolo.tick where position = $1::bigint) as cut, ${table} c
     where c.xid >= pg_snapshot_xmin(cut.snapshot) and not pg_visible_in_snapshot(c.xid, cut.snapshot))
    and exists (select from ${table}) and exists (select from tombolo.tick where position = $1::bigint)`;
  const cut = (oldest ?? (await newestTick(pool))).toString();
  const { rows } = await pool.query<{ ready: string }>(`select ${passed} as ready`, [cut]);
  if (rows[0]?.ready !== "t") return false;
  const client = await pool.connect();
  try {
    // whoever still writes into the segment holds its lock: then it is simply left for the next time
    await client.query("begin; set local lock_timeout = '20ms'");
    await client.query(`lock table ${table} in access exclusive mode`);
    const again = await client.query<{ ready: string }>(`select ${passed} as ready`, [cut]);
    if (again.rows[0]?.ready === "t") {
      // no cut stays from which on the log would be read with a hole: who goes back to one is told so (see `stillReaches`)
      await client.query("delete from tombolo.tick where position < $1::bigint", [cut]);
      await client.query(`truncate ${table}`);
    }
    await client.query("commit");
    return again.rows[0]?.ready === "t";
  } catch (error) {
    await client.query("rollback");
    if ((error as { code?: string }).code === "55P03") return false;
    throw error;
  } finally {
    client.release();
  }
}

async function newestTick(pool: pg.Pool): Promise<bigint> {
  const { rows } = await pool.query<{ position: string }>("select coalesce(max(position), 0) as position from tombolo.tick");
  return BigInt(rows[0]?.position ?? 0);
}
