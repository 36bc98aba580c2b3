import { TomboloError } from "../change/error.ts";
import type { Position, TableName } from "../change/names.ts";
import type { CopiedTable, CopyChanges, CopySnapshot, CopyStage, Staged } from "../node/full-copy.ts";
import type { ShareOfTime } from "../reconcile/share-of-time.ts";
import type { Lifeline } from "./lifeline.ts";
import type { SyncPlan } from "./sync-plan.ts";

/** Of rows of 100 bytes some 5 MB: a quarter of a second of work is what an interruption costs. */
const CHUNK_ROWS = 50_000;
/** With rests between them: what an application waits behind is short. */
const PACED_CHUNK_ROWS = 1_000;

export interface CopyingOptions {
  readonly plan: SyncPlan;
  readonly life: Lifeline;
  readonly signal: AbortSignal;
  readonly share: ShareOfTime;
  readonly chunkRows?: number;
}

/** Brings the rows into the target's stage, and keeps what is there at one tick of the source. */
export class Copying {
  readonly #options: CopyingOptions;
  #stage: CopyStage | undefined;

  constructor(options: CopyingOptions) {
    this.#options = options;
  }

  get stage(): CopyStage {
    if (this.#stage === undefined) throw new Error("the stage is not open");
    return this.#stage;
  }

  async open(): Promise<void> {
    const { plan, life } = this.#options;
    this.#stage = await plan.target.copies.stage(life.run, plan.copied);
  }

  /**
   * Takes a tick, and what is staged over to it: what an earlier attempt left as well as what another chunk brought before. Answers the tick. In an undisturbed run
   * that is all there is to copy, at one tick.
   */
  async copy(): Promise<CopySnapshot["tick"]> {
    for (;;) {
      try {
        return await this.#copyAtOneTick();
      } catch (error) {
        if (!(error instanceof TomboloError) || error.code !== "FULL_SYNC_CUT") throw error;
      }
    }
  }

  async #copyAtOneTick(): Promise<CopySnapshot["tick"]> {
    const { plan, life, signal, share } = this.#options;
    const chunkRows = this.#options.chunkRows ?? (share.isWhole ? CHUNK_ROWS : PACED_CHUNK_ROWS);
    const snapshot = await plan.source.open(plan.copied, this.stage);
    try {
      await this.#estimate(snapshot);
      await this.#renew(snapshot);
      // from here on the source keeps its log for what comes next
      await life.at({ position: snapshot.tick.position });
      for (const copied of plan.copied) {
        while (this.#staged(copied).done === false) {
          signal.throwIfAborted();
          await life.at({ phase: "copy" });
          const chunk = await snapshot.chunk(copied, this.#staged(copied).upTo, chunkRows);
          await this.stage.add(copied.shape.table, chunk);
          await life.at(this.#sum());
          await share.rest(signal);
        }
      }
      return snapshot.tick;
    } finally {
      await snapshot.close();
    }
  }

  async close(what: "keep" | "drop"): Promise<void> {
    await this.#stage?.close(what);
    this.#stage = undefined;
  }

  async #estimate(snapshot: CopySnapshot): Promise<void> {
    const { plan, life } = this.#options;
    let estimatedRows = 0;
    for (const copied of plan.copied) {
      const staged = this.#staged(copied);
      estimatedRows += staged.done ? staged.rows : Math.max(staged.rows, await snapshot.estimate(copied));
    }
    await life.at({ ...this.#sum(), estimatedRows });
  }

  async #renew(snapshot: CopySnapshot): Promise<void> {
    const { position } = this.stage;
    const { tick } = snapshot;
    if (position === tick.position) return;
    const changes: CopyChanges[] = [];
    const anew: TableName[] = [];
    for (const copied of position === null ? [] : this.#options.plan.copied) {
      const changed = await snapshot.changed(copied, position as Position, this.#staged(copied));
      if (changed === null) anew.push(copied.shape.table);
      else changes.push(changed);
    }
    await this.stage.renew(tick.position, changes, anew);
  }

  #staged({ shape }: CopiedTable): Staged {
    return this.stage.progress.get(shape.table) as Staged;
  }

  #sum(): { rows: number; bytes: number } {
    const all = [...this.stage.progress.values()];
    return { rows: all.reduce((sum, { rows }) => sum + rows, 0), bytes: all.reduce((sum, { bytes }) => sum + bytes, 0) };
  }
}
