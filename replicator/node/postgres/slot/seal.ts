import type pg from "pg";
import { position } from "../../../change/names.ts";
import type { Tick } from "../../change-log.ts";
import type { Question } from "../next-window.ts";
import { type RecentTicks, tickRow } from "../recent-ticks.ts";
import { SEEN, type Sealed, sealedAs, sealing, sealOf, tickMissing, tickOf } from "../tick-row.ts";
import type { PlacedGate } from "./log-gate.ts";
import { parseLsn } from "./lsn.ts";

interface Cut {
  readonly position: string;
  readonly sealed: string;
  readonly snapshot: string;
  readonly seen: string;
  readonly unsealed: string;
  /** A place behind the records of all commits that are visible. */
  readonly at: string;
}

/** The tick that was the last, and the one that is now. */
interface Made {
  readonly last: string;
  readonly position: string;
  readonly sealed: string;
  readonly snapshot: string;
  readonly seq_high: string;
  readonly before: string | null;
}

/**
 * What is visible now, and how much of the neighbours' logs that includes; and whether the log holds anything that the last tick does not show. A commit is
 * visible after its record was written, and the snapshot is older than the place that is read with it.
 */
const CUT = `
  select last.position, ${sealedAs("last.sealed_at")} as sealed, pg_current_snapshot()::text as snapshot, pg_current_wal_insert_lsn()::text as at, ${SEEN}::text as seen,
         exists (select from tombolo.change c where c.xid >= pg_snapshot_xmax(last.snapshot))
      or exists (select from pg_snapshot_xip(last.snapshot) as open(xid), tombolo.change c where c.xid = open.xid) as unsealed
    from (select position, snapshot, sealed_at from tombolo.tick order by position desc limit 1) as last`;

/** In a transaction that holds the lock. Parameters: the cut's snapshot, what was seen, the last tick then, and the last that is known here. No tick where another process made one since the cut. */
const MAKE = `
  with last as (select position, snapshot, seq_high, sealed_at from tombolo.tick order by position desc limit 1),
       made as (
         insert into tombolo.tick (snapshot, seen, seq_high)
         select cut.snapshot, $2::jsonb, (select last_value from tombolo.change_seq)
           from last, (select $1::pg_snapshot as snapshot) as cut
          where last.position = $3::bigint
            and (exists (select from tombolo.change c where c.xid >= pg_snapshot_xmax(last.snapshot) and c.xid < pg_snapshot_xmax(cut.snapshot)
                            and pg_visible_in_snapshot(c.xid, cut.snapshot))
              or exists (select from pg_snapshot_xip(last.snapshot) as open(xid), tombolo.change c
                          where c.xid = open.xid and pg_visible_in_snapshot(c.xid, cut.snapshot)))
         returning position, snapshot, seq_high, sealed_at)
  select last.position as last, coalesce(made.position, last.position) as position, ${sealedAs("coalesce(made.sealed_at, last.sealed_at)")} as sealed,
         coalesce(made.snapshot, last.snapshot)::text as snapshot, coalesce(made.seq_high, last.seq_high) as seq_high,
         ${sealOf("$4")} as before
    from last left join made on true`;

/** While changes come in, a cut is begun this often: some are then complete while the log is far behind the newest. */
const CUT_EVERY_MS = 40;
/** Somebody asked for a lagging tick so recently. */
const WANTED_FOR_MS = 2_000;
const MOST_CUTS = 200;

type PendingCut = Cut & { readonly behind: boolean; readonly ready: Promise<void>; readonly state: { ready: boolean } };

/**
 * Seals ticks of a log that lags behind the commits. A tick is what is visible at one moment, as with triggers, and what had been applied from
 * the neighbours by then: both come from one snapshot. It is made, and told to anyone, when the log has all of that. What was
 * logged earlier than it became visible (its commit waited for a standby) is not part of it; the next tick has it.
 */
export class SlotSeal {
  readonly #pool: pg.Pool;
  readonly #gate: PlacedGate;
  readonly #recent: RecentTicks;
  #last: { readonly tick: Tick; readonly position: string; readonly seen: string } | undefined;
  /** Begun and not used, in the order of their snapshots. */
  #cuts: PendingCut[] = [];
  #beginning: Promise<unknown> = Promise.resolve();
  #begunAt = Number.NEGATIVE_INFINITY;
  #wantedAt = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly pool: pg.Pool; readonly gate: PlacedGate; readonly recent: RecentTicks }) {
    this.#recent = options.recent;
    this.#pool = options.pool;
    this.#gate = options.gate;
  }

  /** Something was logged: more may follow. */
  logged(): void {
    const now = performance.now();
    if (now - this.#begunAt < CUT_EVERY_MS || now - this.#wantedAt > WANTED_FOR_MS || this.#cuts.length >= MOST_CUTS) return;
    // what fails here fails again for who wants the tick
    this.#begin().catch(() => undefined);
  }

  /** One call at a time. `lagging`: what was committed and is not logged yet may stay for the next. */
  async tick(asked: { readonly lagging: boolean; readonly next: Question | null; readonly last: Tick | undefined }): Promise<Sealed> {
    const { lagging, next } = asked;
    if (lagging) this.#wantedAt = performance.now();
    else this.#cuts = [];
    for (;;) {
      const earlier = this.#earlier();
      const cut = earlier ?? (await this.#begin());
      const last = this.#last;
      if (
        lagging &&
        cut.unsealed !== "t" &&
        !cut.behind &&
        last?.position === cut.position &&
        last.tick.sealedAs === cut.sealed &&
        last.seen === cut.seen
      ) {
        this.#use(cut);
        if (earlier === undefined) return { tick: last.tick, before: cut.sealed };
        continue;
      }
      try {
        await cut.ready;
      } catch (error) {
        this.#cuts = [];
        throw error;
      }
      this.#use(cut);
      const made = await this.#make(cut, next, asked.last);
      // another process's tick, or that of a fill, may be newer than the cut
      if (made.last !== cut.position && made.last !== this.#last?.position) {
        this.#cuts = [];
        continue;
      }
      const tick = tickOf({ position: made.position, sealed: made.sealed, seen: cut.seen });
      this.#last = { tick, position: made.position, seen: cut.seen };
      // an earlier cut in which nothing is new says nothing of now
      if (earlier === undefined || made.position !== made.last) return { tick, before: made.before };
    }
  }

  /** Neither the cut nor one before it is used any more. */
  #use(cut: PendingCut): void {
    this.#cuts = this.#cuts.slice(this.#cuts.indexOf(cut) + 1);
  }

  /** The newest cut that is complete, or else the first that will be. */
  #earlier(): PendingCut | undefined {
    return this.#cuts.findLast(({ state }) => state.ready) ?? this.#cuts[0];
  }

  /** One after the other, so that they are in the order of their snapshots. */
  #begin(): Promise<PendingCut> {
    this.#begunAt = performance.now();
    const begun = this.#beginning.then(async () => {
      const { rows } = await this.#pool.query<Cut>({ name: "tombolo_slot_cut", text: CUT });
      const state = { ready: false };
      const [row] = rows;
      if (row === undefined) throw tickMissing();
      const { behind } = this.#gate;
      const ready = this.#gate.passed(parseLsn(row.at)).then(() => {
        state.ready = true;
      });
      ready.catch(() => undefined);
      const cut: PendingCut = { ...row, behind, ready, state };
      this.#cuts.push(cut);
      return cut;
    });
    this.#beginning = begun.catch(() => undefined);
    return begun;
  }

  async #make({ snapshot, seen, position: last }: Cut, next: Question | null, known: Tick | undefined): Promise<Made> {
    const values = [snapshot, seen, last, known?.position.toString() ?? null];
    const row = await sealing<Made>(this.#pool, { name: "tombolo_slot_make", text: MAKE, values }, next);
    if (row === undefined) {
      // what was cut after a tick that is gone is cut anew
      this.#cuts = [];
      throw tickMissing();
    }
    const [at, tick] = [position(row.position), tickRow(row)];
    this.#recent.add(at, tick);
    await next?.sealed(at, tick);
    return row;
  }
}
