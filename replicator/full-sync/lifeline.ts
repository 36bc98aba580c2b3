import { isPassing, TomboloError } from "../change/error.ts";
import type { Position } from "../change/names.ts";
import { SharedCall } from "../change/shared-call.ts";
import type { RunEnd, SyncPhase } from "../node/full-sync-runs.ts";
import { Pacer, type SyncProgress } from "./progress.ts";
import type { SyncPlan } from "./sync-plan.ts";

const BEAT_MS = 3_000;

interface Where {
  readonly phase: SyncPhase;
  readonly rows: number;
  readonly bytes: number;
  readonly estimatedRows: number;
  readonly position: Position | null;
  readonly differing: number | null;
}

/**
 * What both databases know of a full sync while it runs: who runs it, that it lives, and where it is. A run that falls silent may be taken over; then this one ends
 * with `FULL_SYNC_LOST`.
 */
export class Lifeline {
  readonly run: bigint;
  readonly resumed: boolean;
  readonly #plan: SyncPlan;
  readonly #sourceRun: bigint;
  readonly #watch: (progress: SyncProgress) => void;
  readonly #pacer = new Pacer();
  readonly #timer: ReturnType<typeof setInterval>;
  #where: Where = {
    phase: "prepare",
    rows: 0,
    bytes: 0,
    estimatedRows: 0,
    position: null,
    differing: null,
  };
  /** Each by itself: while a SQLite target is being handed over its beat waits, and the source is to hear that the run lives. */
  readonly #beats: readonly SharedCall<void>[];
  #failed: unknown;

  private constructor(options: {
    readonly plan: SyncPlan;
    readonly run: bigint;
    readonly sourceRun: bigint;
    readonly resumed: boolean;
    readonly watch: (progress: SyncProgress) => void;
  }) {
    const { source, target } = options.plan;
    this.#plan = options.plan;
    this.#beats = [
      new SharedCall(() => target.copies.runs.beat(options.run, this.#where)),
      new SharedCall(() => source.runs.beat(options.sourceRun, this.#where)),
    ];
    this.run = options.run;
    this.#sourceRun = options.sourceRun;
    this.resumed = options.resumed;
    this.#watch = options.watch;
    this.#timer = setInterval(() => {
      this.#beat().catch((error) => {
        // who is silent for too long because of a lock that an application holds is told so when it commits
        if (!isPassing(error)) this.#failed ??= error;
      });
    }, BEAT_MS);
    this.#timer.unref();
  }

  /** The target first: it is the one that can have another. */
  static async begin(options: {
    readonly plan: SyncPlan;
    readonly resume: boolean;
    /** It is to end with a comparison: whoever goes on with it is to know. */
    readonly verify: boolean;
    readonly watcher: { progress(progress: SyncProgress): void };
  }): Promise<Lifeline> {
    const { plan, resume, verify, watcher } = options;
    const { source, target, direction, tables } = plan;
    const start = { direction, tables, ...(verify && { terms: { verify } }) };
    const entered = await target.copies.runs.begin({ ...start, peer: source.name, side: "target", resume });
    try {
      const beside = await source.runs.begin({ ...start, peer: target.name, side: "source", resume: entered.resumed });
      const watch = (progress: SyncProgress): void => watcher.progress(progress);
      return new Lifeline({ plan, run: entered.id, sourceRun: beside.id, resumed: entered.resumed, watch });
    } catch (error) {
      await target.copies.runs.end(entered.id, "failed").catch(() => undefined);
      throw error;
    }
  }

  get rows(): number {
    return this.#where.rows;
  }

  get bytes(): number {
    return this.#where.bytes;
  }

  /** Says so at once where it is another phase, or another position to keep the log from. */
  async at(change: Partial<Where>): Promise<void> {
    const before = this.#where;
    this.note(change);
    if (before.phase !== this.#where.phase || before.position !== this.#where.position) await this.#beat();
  }

  /** The same, said in time. Throws what came of having said it earlier. */
  note(change: Partial<Where>): void {
    this.#where = { ...this.#where, ...change };
    this.#watch(this.#pacer.at(this.#where));
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Refused, or broken by a database that went away: what is staged is worth keeping only then. */
  stateAfter(error: unknown, aborted: "cancelled" | "interrupted" | null): Exclude<RunEnd, "done"> {
    if (aborted !== null) return aborted;
    return isPassing(error) || (error instanceof TomboloError && error.code === "FULL_SYNC_LOST") ? "interrupted" : "failed";
  }

  async end(state: RunEnd, error?: unknown): Promise<void> {
    clearInterval(this.#timer);
    // how far it came is told whatever became of it
    await this.#beat().catch(() => undefined);
    const reason =
      error instanceof TomboloError ? `${error.message} (${error.code})` : error === undefined ? undefined : "an unexpected error";
    const { source, target } = this.#plan;
    await Promise.allSettled([target.copies.runs.end(this.run, state, reason), source.runs.end(this.#sourceRun, state, reason)]);
  }

  async #beat(): Promise<void> {
    await Promise.all(this.#beats.map((beat) => beat.following()));
  }
}
