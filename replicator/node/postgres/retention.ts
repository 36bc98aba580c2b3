import type pg from "pg";
import { nodeName } from "../../change/names.ts";
import { LEFT_BEHIND, type LeftBehind, type Retention } from "../retention.ts";
import { releaseCompareHolds } from "./compare-holds.ts";
import { oldestNeeded, purge } from "./purge.ts";

/**
 * The position that a child has acknowledged everything up to. One that never has stands where its tables began to be read for it; before that, null: it is young, or
 * never came to it.
 */
const ACKNOWLEDGED = `case when p.sent = '{}' then (select min(t.seeded_at) from tombolo.peer_table t where t.peer_id = p.id)
  else (select min(s.position::bigint) from jsonb_each_text(p.sent) as s(channel, position)) end`;
/** The same where the log is too large: a child that never came to it holds all of it. */
const STANDS_AT = `coalesce(${ACKNOWLEDGED}, 0)`;
/** Only children: what a parent has not read yet are edits that are nowhere else. */
const CHILDREN = "p.role = 'child' and p.state not in ('must_resync', 'snapshot')";

/**
 * Gives up readers that are further behind than the log is kept, then purges. Each is marked first, in a transaction of its own: it knows before anything that it needs
 * is gone. `told` resolves when every reader does.
 */
export async function retain(pool: pg.Pool, { keepMs, maxBytes }: Retention, told: () => Promise<void>): Promise<readonly LeftBehind[]> {
  const released = await releaseCompareHolds(pool, keepMs);
  const old = await mark(
    pool,
    `(${ACKNOWLEDGED}) < (select max(position) from tombolo.tick where sealed_at < clock_timestamp() - $2::float8 * interval '1 millisecond')`,
    keepMs,
  );
  if (old.length > 0) await told();
  if (released || old.length > 0 || (await logBytes(pool)) > maxBytes) await purgeAll(pool);
  // a comparison can look at everything instead; a child cannot
  if ((await logBytes(pool)) > maxBytes && (await releaseCompareHolds(pool, null))) await purgeAll(pool);
  const large: string[] = [];
  // the furthest first, until the others fit
  while ((await logBytes(pool)) > maxBytes) {
    const furthest = await mark(
      pool,
      `${STANDS_AT} = (select min(${STANDS_AT}) from tombolo.peer p where ${CHILDREN}) and ${STANDS_AT} < (select max(position) from tombolo.tick) and $2::float8 > 0`,
      1,
    );
    if (furthest.length === 0) break;
    large.push(...furthest);
    await told();
    await purgeAll(pool);
  }
  return [
    ...old.map((name): LeftBehind => ({ reader: nodeName(name), limit: "log.keep" })),
    ...large.map((name): LeftBehind => ({ reader: nodeName(name), limit: "log.max_size" })),
  ];
}

async function mark(pool: pg.Pool, which: string, value: number): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `update tombolo.peer as p set state = 'must_resync', reason = $1 where ${CHILDREN} and ${which} returning p.name`,
    [LEFT_BEHIND, value],
  );
  return rows.map(({ name }) => name);
}

/** Leaves the segment that is written, whatever its size, then empties it. */
async function purgeAll(pool: pg.Pool): Promise<void> {
  for (let time = 0; time < 2; time++) await purge(pool, await oldestNeeded(pool), 0);
}

async function logBytes(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ bytes: string }>(
    "select coalesce(sum(pg_total_relation_size(inhrelid)), 0) as bytes from pg_inherits where inhparent = 'tombolo.change'::regclass",
  );
  return Number(rows[0]?.bytes ?? 0);
}
