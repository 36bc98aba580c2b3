import type pg from "pg";

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
  await pool.query("delete from tombolo.tick where position < $1::bigint and sealed_at < clock_timestamp() - interval '1 minute'", [
    (oldest ?? 0n).toString(),
  ]);
  return { rotated, truncated };
}

async function rotateIfFull(pool: pg.Pool, current: number, segmentBytes: number): Promise<boolean> {
  const next = (current + 1) % SEGMENTS;
  const { rowCount } = await pool.query(
    `update tombolo.log_state set segment = $2::smallint
      where segment = $1::smallint and pg_relation_size('tombolo.change_${current}') > $3::bigint
        and not exists (select from tombolo.change_${next})`,
    [current, next, segmentBytes],
  );
  return rowCount === 1;
}

/** Only when all of it is below the cut: every transaction that wrote to it had ended when the oldest needed tick was made. */
async function truncateIfRead(pool: pg.Pool, segment: number, oldest: bigint | null): Promise<boolean> {
  const table = `tombolo.change_${segment}`;
  const passed = `not exists (
    select from ${table} c, (select snapshot from tombolo.tick where position = $1::bigint) as cut where not pg_visible_in_snapshot(c.xid, cut.snapshot))
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
    if (again.rows[0]?.ready === "t") await client.query(`truncate ${table}`);
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
