import type pg from "pg";

/**
 * The same again when nothing was committed anywhere on the server meanwhile: each transaction that writes, DDL included, moves the snapshot as it ends. Another
 * server in its place, which may stand at the same one, was started at another time.
 */
const MARK = "select pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text as mark";

/** What no commit tells is looked at this often: how the clocks go, and how much room files take. */
const LONGEST_MS = 30_000;

/**
 * Remembers what `look` has found for as long as nothing is committed: a database at rest is asked again and again how it does, and one small statement serves
 * for the dozen. Callers share what was found. `now`: milliseconds, for tests.
 */
export function unlessUnchanged<T>(pool: pg.Pool, look: () => Promise<T>, now: () => number = () => performance.now()): () => Promise<T> {
  let last: { readonly mark: string; readonly at: number; readonly found: T } | undefined;
  return async () => {
    const at = now();
    const { rows } = await pool.query<{ mark: string }>(MARK);
    const mark = rows[0]?.mark ?? "";
    if (last !== undefined && last.mark === mark && at - last.at < LONGEST_MS) return last.found;
    // the mark is older than what is found: what is committed in between has it looked at once more
    const found = await look();
    last = { mark, at, found };
    return found;
  };
}
