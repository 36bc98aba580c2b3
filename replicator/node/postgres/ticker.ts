import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import type { Position } from "../../change/names.ts";
import type { Tick, TickOptions } from "../change-log.ts";
import { Lives } from "../lives.ts";
import type { Question } from "./next-window.ts";
import { RecentTicks, tickRow } from "./recent-ticks.ts";
import type { PlacedGate } from "./slot/log-gate.ts";
import { SlotSeal } from "./slot/seal.ts";
import { SEEN, type Sealed, type StoredTick, sealedAs, sealing, sealOf, TICK_LOCK, tickMissing, tickOf } from "./tick-row.ts";

/**
 * In a transaction that holds the lock: a tick is made only when a captured change became visible since the last one, and it is
 * flushed when this returns. The flush covers every commit before it, so nothing that a crash could take back is ever read (hazard A6).
 *
 * Without anything new, the last tick holds all that is visible now, so what was applied from the peers until now is told with it. It is not stored: nobody reads
 * what an older one had seen, and of a thousand peers it is 100 KB. Parameter: the position of the last that is known here.
 */
const SEAL = `
  with last as (select position, snapshot, seq_high, sealed_at from tombolo.tick order by position desc limit 1),
       seen as materialized (select ${SEEN} as seen),
       made as (
         insert into tombolo.tick (snapshot, seen, seq_high)
         select pg_current_snapshot(), '{}', (select last_value from tombolo.change_seq)
           from last
          where exists (select from tombolo.change c where c.xid >= pg_snapshot_xmax(last.snapshot))
             or exists (select from pg_snapshot_xip(last.snapshot) as open(xid), tombolo.change c where c.xid = open.xid)
         returning position, snapshot, seq_high, sealed_at)
  select coalesce(made.position, last.position) as position, ${sealedAs("coalesce(made.sealed_at, last.sealed_at)")} as sealed, seen.seen::text as seen,
         coalesce(made.snapshot, last.snapshot)::text as snapshot, coalesce(made.seq_high, last.seq_high) as seq_high,
         ${sealOf("$1")} as before
    from last cross join seen left join made on true`;

/**
 * The first tick of a database, before anything is captured. One whose ticks are gone (a restore without them, a hand that emptied the table) begins anew with a tick
 * that shows nothing: all that the log holds is news after it, and nothing of it is taken to have been read, or judged. Who stood at one of those that
 * are gone is told `POSITION_UNKNOWN`.
 */
const FIRST = `
  insert into tombolo.tick (snapshot, seen)
  select case when exists (select from tombolo.change) then '3:3:'::pg_snapshot else pg_current_snapshot() end, '{}'
   where not exists (select from tombolo.tick)`;

interface SealedRow extends StoredTick {
  readonly snapshot: string;
  readonly seq_high: string;
  readonly before: string | null;
}

/** How long a tick serves readers that are not as far yet: see `TickOptions.after`. */
const SERVES_MS = 10;

/** Makes ticks. Callers that come while one is being made share the next. */
export class Ticker {
  readonly #pool: pg.Pool;
  readonly #gate: PlacedGate;
  readonly #slot: SlotSeal;
  /** What it has made. */
  readonly recent = new RecentTicks();
  #running: Promise<Tick> | undefined;
  #next: Promise<Tick> | undefined;
  /** Whether everybody who shares the next one is content with what is logged. */
  #nextLagging = true;
  #begun = false;
  #last: { readonly tick: Tick; readonly askedAt: number } | undefined;
  readonly #lives = new Lives();
  /** When it was last known that there was nothing beyond the last one. */
  #newestAt = 0;

  constructor(options: { readonly pool: pg.Pool; readonly gate: PlacedGate }) {
    this.#pool = options.pool;
    this.#gate = options.gate;
    this.#slot = new SlotSeal({ ...options, recent: this.recent });
  }

  /** See `ChangeLog.lives`. */
  get lives(): number {
    return this.#lives.count;
  }

  /** `next`: what is read with it, where it is not shared. */
  tick({ lagging = false, after, oldMs = 0 }: TickOptions = {}, next: Question | null = null): Promise<Tick> {
    const last = this.#last;
    // one that is behind the caller would look like a log that was put back
    const serves = last !== undefined && after !== undefined && last.tick.position >= after;
    if (lagging && serves && performance.now() - this.#newestAt < oldMs) return Promise.resolve(last.tick);
    if (
      lagging &&
      after !== undefined &&
      last !== undefined &&
      last.tick.position > after &&
      performance.now() - last.askedAt < SERVES_MS
    ) {
      return Promise.resolve(last.tick);
    }
    return this.#shared(lagging, next);
  }

  /** Somebody who looked at `askedAt` found nothing beyond this tick. */
  nothingBeyond(position: Position, askedAt: number): void {
    if (this.#last?.tick.position === position) this.#newestAt = Math.max(this.#newestAt, askedAt);
  }

  #shared(lagging: boolean, next: Question | null = null): Promise<Tick> {
    if (this.#running === undefined) {
      const askedAt = performance.now();
      const running = this.#seal(lagging, next)
        .then(({ tick, before }) => {
          this.#mustGoOn(tick, before);
          this.#last = { tick, askedAt };
          this.#newestAt = askedAt;
          return tick;
        })
        .finally(() => {
          this.#running = undefined;
        });
      this.#running = running;
      return running;
    }
    this.#nextLagging &&= lagging;
    // the running one may have taken its snapshot before this caller's commit
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        const all = this.#nextLagging;
        this.#next = undefined;
        this.#nextLagging = true;
        return this.#shared(all);
      });
    return this.#next;
  }

  /** Those that are remembered of a life that is over serve nobody. */
  #mustGoOn(tick: Tick, before: string | null): void {
    const { count } = this.#lives;
    try {
      this.#lives.passed(tick, before);
    } finally {
      if (this.#lives.count !== count) {
        this.#last = undefined;
        this.recent.clear();
      }
    }
  }

  /** Something was logged from a slot. */
  logged(): void {
    this.#slot.logged();
  }

  async #seal(lagging: boolean, next: Question | null): Promise<Sealed> {
    if (!this.#begun) await this.#begin();
    try {
      return await (this.#gate.lags ? this.#slot.tick({ lagging, next, last: this.#lives.last }) : this.#sealed(next));
    } catch (error) {
      // told once; who tries again begins with a first one
      if (error instanceof TomboloError && error.code === "TICK_MISSING") this.#begun = false;
      throw error;
    }
  }

  async #sealed(next: Question | null): Promise<Sealed> {
    const values = [this.#lives.last?.position.toString() ?? null];
    const row = await sealing<SealedRow>(this.#pool, { name: "tombolo_seal", text: SEAL, values }, next);
    if (row === undefined) throw tickMissing();
    const tick = tickOf(row);
    const known = tickRow(row);
    this.recent.add(tick.position, known);
    await next?.sealed(tick.position, known);
    return { tick, before: row.before };
  }

  async #begin(): Promise<void> {
    const { rows } = await this.#pool.query<{ slot: string }>("select exists (select from tombolo.slot) as slot");
    if ((rows[0]?.slot === "t") !== this.#gate.lags) {
      throw new TomboloError(`the node captures by ${this.#gate.lags ? "triggers" : "a slot"}, and the topology says otherwise`, {
        code: "CAPTURE_MODE",
        kind: "operator",
        hint: "Run `tombolo plan`, then `tombolo apply`.",
      });
    }
    await this.#pool.query(`${TICK_LOCK}; ${FIRST}`);
    this.#begun = true;
  }
}
