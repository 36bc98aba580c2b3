import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { position } from "../../change/names.ts";
import type { Tick } from "../change-log.ts";
import type { StoredProgress } from "../progress.ts";
import { inOneGo } from "./in-one-go.ts";
import type { Question } from "./next-window.ts";

/** Serialises ticks, so that a later tick never shows less than an earlier one. Taken before the snapshot is. */
export const TICK_LOCK = "select pg_advisory_xact_lock(hashtext('tombolo'), hashtext('tick'))";

/** What every peer's log was applied to, by the same snapshot as the tick's. */
export const SEEN = "coalesce((select jsonb_object_agg(p.name, p.received) from tombolo.peer p), '{}')";

/** Somebody has emptied the table; the next try makes a first one. */
export const tickMissing = (): TomboloError =>
  new TomboloError("the database has no tick: what was in tombolo.tick is gone", {
    code: "TICK_MISSING",
    kind: "retry",
    hint: "A new first one is made; neighbours that stood at those that are gone are filled anew (see `tombolo status`).",
  });

/** SQL: `Tick.sealedAs`, of a tick's `sealed_at`: a number is given again after a restore, and a moment is not. */
export const sealedAs = (sealedAt = "sealed_at"): string => `(extract(epoch from ${sealedAt}) * 1e6)::bigint::text`;

/**
 * SQL: whether the log goes on from a tick that was read before, as parameters hold its position and `Tick.sealedAs`; also where there is none. One that is purged was read,
 * and there is a later one.
 */
export const goesOnFrom = (position: string, sealed: string): string =>
  `(${position}::bigint is null or coalesce((select t.position > ${position}::bigint or ${sealed}::text is null or ${sealedAs("t.sealed_at")} = ${sealed}::text
     from tombolo.tick t where t.position >= ${position}::bigint order by t.position limit 1), false))`;

/** SQL: `Tick.sealedAs` of the tick at the position that a parameter holds; null where there is none. */
export const sealOf = (position: string): string =>
  `(select ${sealedAs("b.sealed_at")} from tombolo.tick b where b.position = ${position}::bigint)`;

/** A tick as it comes from the database. */
export interface StoredTick {
  readonly position: string;
  readonly sealed: string;
  readonly seen: string;
}

/** A tick that was sealed, or was the last; and `sealOf` the one that this process knew for the last. */
export interface Sealed {
  readonly tick: Tick;
  readonly before: string | null;
}

export function tickOf(row: StoredTick): Tick {
  let seen: Tick["seen"] | undefined;
  return {
    position: position(row.position),
    sealedAs: row.sealed,
    // most ticks of a node with a thousand peers are made for somebody to whom there is nothing to say
    get seen() {
      seen ??= seenOf(row.seen);
      return seen;
    },
  };
}

const seenOf = (stored: string): Tick["seen"] =>
  Object.fromEntries(
    Object.entries(JSON.parse(stored) as { [peer: string]: StoredProgress }).map(([peer, progress]) => [
      peer,
      Object.fromEntries(Object.entries(progress).map(([channel, { position: at }]) => [channel, position(at)])),
    ]),
  );

/** Makes a tick: all in one go, durable when it is answered. Answers the row that `statement` does. */
export async function sealing<R extends pg.QueryResultRow>(
  pool: pg.Pool,
  statement: pg.QueryConfig,
  next: Question | null,
): Promise<R | undefined> {
  const client = await pool.connect();
  let row: R | undefined;
  try {
    const [, , made] = await inOneGo<readonly pg.QueryResult<R>[]>(client, (go) => [
      go.query("begin"),
      go.query({ name: "tombolo_tick_lock", text: TICK_LOCK }),
      go.query<R>(statement),
      ...(next === null ? [] : [next.ask(go) as Promise<never>]),
      go.query("commit"),
    ]);
    row = made?.rows[0];
    client.release();
    return row;
  } catch (error) {
    client.release(true);
    throw error;
  }
}
