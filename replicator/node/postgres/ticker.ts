import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { position } from "../../change/names.ts";
import type { Tick } from "../change-log.ts";
import type { StoredProgress } from "../progress.ts";

/** Serialises ticks, so that a later tick never shows less than an earlier one. Taken before the snapshot is. */
export const TICK_LOCK = "select pg_advisory_xact_lock(hashtext('tombolo'), hashtext('tick'))";

/** What every peer's log was applied to, by the same snapshot as the tick's. */
export const SEEN = "coalesce((select jsonb_object_agg(p.name, p.received) from tombolo.peer p), '{}')";

/**
 * One message, one implicit transaction: a tick is made only when a captured change became visible since the last one, and it is
 * flushed when this returns. The flush covers every commit before it, so nothing that a crash could take back is ever read (hazard A6).
 *
 * Without anything new, the last tick holds all that is visible now, so what was applied from the peers until now is told with it.
 */
const SEAL = `
  ${TICK_LOCK};
  with last as (select position, snapshot from tombolo.tick order by position desc limit 1),
       seen as materialized (select ${SEEN} as seen),
       made as (
         insert into tombolo.tick (snapshot, seen, seq_high)
         select pg_current_snapshot(), seen.seen, (select last_value from tombolo.change_seq)
           from last, seen
          where exists (select from tombolo.change c where c.xid >= pg_snapshot_xmax(last.snapshot))
             or exists (select from pg_snapshot_xip(last.snapshot) as open(xid), tombolo.change c where c.xid = open.xid)
         returning position)
  select coalesce(made.position, last.position) as position, seen.seen::text as seen from last cross join seen left join made on true`;

/** The first tick of a database, before anything is captured. */
const FIRST = `
  insert into tombolo.tick (snapshot, seen)
  select pg_current_snapshot(), '{}' where not exists (select from tombolo.tick)`;

/** Makes ticks. Callers that come while one is being made share the next. */
export class Ticker {
  readonly #pool: pg.Pool;
  #running: Promise<Tick> | undefined;
  #next: Promise<Tick> | undefined;
  #begun = false;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  tick(): Promise<Tick> {
    if (this.#running === undefined) {
      const running = this.#seal().finally(() => {
        this.#running = undefined;
      });
      this.#running = running;
      return running;
    }
    // the running one may have taken its snapshot before this caller's commit
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.tick();
      });
    return this.#next;
  }

  async #seal(): Promise<Tick> {
    if (!this.#begun) {
      await this.#pool.query(`${TICK_LOCK}; ${FIRST}`);
      this.#begun = true;
    }
    const results = (await this.#pool.query({ text: SEAL })) as unknown as pg.QueryResult<{ position: string; seen: string }>[];
    const row = results.at(-1)?.rows[0];
    if (row === undefined) throw new TomboloError("the database has no tick", { code: "TICK_MISSING", kind: "retry" });
    return tickOf(row);
  }
}

export function tickOf(row: { readonly position: string; readonly seen: string }): Tick {
  const peers = JSON.parse(row.seen) as { [peer: string]: StoredProgress };
  const seen = Object.fromEntries(
    Object.entries(peers).map(([peer, progress]) => [
      peer,
      Object.fromEntries(Object.entries(progress).map(([channel, { position: at }]) => [channel, position(at)])),
    ]),
  );
  return { position: position(row.position), seen };
}
