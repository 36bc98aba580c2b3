import { isPassing, TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { SyncProgress } from "../full-sync/progress.ts";
import { sleep } from "../link/sleep.ts";
import type { SyncDirection } from "../node/full-sync-runs.ts";
import { AUTOMATIC, type Mark } from "../reconcile/marks.ts";
import type { LinkReport } from "../reconcile/reconcile-link.ts";
import type { Edge } from "./edge.ts";
import type { Exchanged } from "./edge-link.ts";
import { EdgeMarks } from "./edge-marks.ts";
import { ALL_TABLES } from "./edge-reconcile.ts";

interface Fill {
  readonly tables: readonly TableName[];
  readonly direction: SyncDirection;
  readonly resume: boolean;
  readonly verify: boolean;
}

interface ErrandsWatcher {
  fullSync?(progress: SyncProgress): void;
  reconciled?(report: LinkReport): void;
  failed(error: unknown, retryInMs: number): void;
}

const PAUSE_MS = 2_000;
/** A hub is the target of one full sync at a time. */
const BUSY_PAUSE_MS = 10_000;
/** After what does not pass by itself. */
const REFUSED_PAUSE_MS = 60_000;
/** Where the hub is away meanwhile, what was to be carried is told as under way. */
const LONGEST_CARRY_MS = 30_000;

/**
 * What an agent does beside its exchanges, one thing at a time: the full syncs that the hub asks for, and what something interrupted; comparisons with the hub, for which whoever
 * asked has agreed to what they do; and by itself those of tables of which changes may have been missed.
 */
export class EdgeErrands {
  readonly #edge: Edge;
  readonly #watcher: ErrandsWatcher;
  readonly #marks = new EdgeMarks();
  #fill: Fill | undefined;
  #reconcile: Exchanged["reconcile"] = null;
  #running: Promise<void> | undefined;
  #looked = false;
  /** The last wishes that were taken up. An answer that was on its way meanwhile tells of them again. */
  #taken = { fullSync: 0n, reconcile: 0n };
  #notBefore = 0;
  #pauseMs = PAUSE_MS;
  readonly #nudge: () => void;
  /** Who waits for the end of an exchange. */
  #waiting: (() => void)[] = [];

  /** `nudge`: makes the agent exchange now. */
  constructor(options: { readonly edge: Edge; readonly watcher: ErrandsWatcher; readonly nudge: () => void }) {
    this.#nudge = options.nudge;
    this.#edge = options.edge;
    this.#watcher = options.watcher;
  }

  /** As the hub says with each exchange, once that is over. */
  wish({ fullSync, reconcile }: Pick<Exchanged, "fullSync" | "reconcile">): void {
    for (const told of this.#waiting.splice(0)) told();
    if (this.#running !== undefined) return;
    if (fullSync !== null && fullSync.run > this.#taken.fullSync) {
      this.#fill = { tables: fullSync.tables, direction: fullSync.direction, resume: false, verify: fullSync.verify };
      this.#taken.fullSync = fullSync.run;
    }
    if (reconcile !== null && reconcile.run > this.#taken.reconcile) {
      this.#reconcile = reconcile;
      this.#taken.reconcile = reconcile.run;
    }
  }

  /** Begins what is to be done, if nothing is being done. The hub answered a moment ago. */
  async goOn(signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined) return;
    if (!this.#looked) {
      const left = await this.#edge.interrupted(signal);
      if (left !== null)
        this.#fill ??= { tables: left.tables, direction: left.direction, resume: true, verify: left.terms.verify === true };
      this.#looked = true;
    }
    if (performance.now() < this.#notBefore) return;
    const wished = this.#fill !== undefined || this.#reconcile !== null;
    const marks = wished ? [] : await this.#marks.due(await this.#edge.node(), performance.now());
    if (!wished && marks.length === 0) return;
    this.#running = (wished ? this.#run(signal) : this.#compare(marks, signal))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.#notBefore = performance.now() + this.#pauseMs;
        this.#watcher.failed(error, this.#pauseMs);
        this.#pauseMs = PAUSE_MS;
      })
      .finally(() => {
        this.#running = undefined;
        // exchanges may have waited for the end of it
        this.#nudge();
      });
  }

  /** Waits for what is being done; then nothing of it is gone on with, and what is left over is looked up anew. */
  async forget(): Promise<void> {
    await this.#running;
    this.#fill = undefined;
    this.#reconcile = null;
    this.#looked = false;
  }

  /** Waits for what is being done, which the signal has ended. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const [fill, reconcile] = [this.#fill, this.#reconcile];
    this.#fill = undefined;
    this.#reconcile = null;
    try {
      if (fill !== undefined) await this.#fillAnew(fill, signal);
    } catch (error) {
      // the hub tells of a wish once
      this.#reconcile ??= reconcile;
      throw error;
    }
    if (reconcile !== null) await this.#compareAsAsked(reconcile, signal);
  }

  /** Until it has begun at the hub, nobody hears of a failure, and the hub goes on wishing for it before it tells of any other. */
  async #compareAsAsked(reconcile: NonNullable<Exchanged["reconcile"]>, signal: AbortSignal): Promise<void> {
    let hasBegun = false;
    const onBegun = (): void => {
      hasBegun = true;
    };
    const carry = (): Promise<void> => this.#exchanges(signal);
    try {
      const report = await this.#edge.reconcile({ ...reconcile, ...ALL_TABLES, carry, signal, onBegun });
      this.#watcher.reconciled?.(report);
    } catch (error) {
      if (!hasBegun && isPassing(error)) this.#reconcile ??= reconcile;
      else if (!hasBegun && !isTakenBack(error)) {
        this.#taken.reconcile = 0n;
        this.#pauseMs = REFUSED_PAUSE_MS;
      }
      throw error;
    }
  }

  /** Nobody has asked for it: it only reports. At the hub, its record is as that of a child that is reached directly. */
  async #compare(marks: readonly Mark[], signal: AbortSignal): Promise<void> {
    const given = { ...ALL_TABLES, tables: marks.map(({ table }) => table), carry: async () => undefined, signal };
    try {
      this.#watcher.reconciled?.(await this.#edge.reconcile({ name: AUTOMATIC, repair: "report", ...given }));
    } catch (error) {
      // soon
      if (isPassing(error) || signal.aborted) throw error;
      this.#marks.seenTo(marks, performance.now());
      throw error;
    }
    this.#marks.seenTo(marks, performance.now());
  }

  /** One may have begun before what is to be carried was there, the next one carries it, and the third tells that it has arrived. */
  async #exchanges(signal: AbortSignal): Promise<void> {
    for (let count = 0; count < 3 && !signal.aborted; count++) {
      const over = new AbortController();
      this.#waiting.push(() => over.abort());
      this.#nudge();
      await sleep(LONGEST_CARRY_MS, AbortSignal.any([signal, over.signal]));
    }
  }

  async #fillAnew({ tables, direction, resume, verify }: Fill, signal: AbortSignal): Promise<void> {
    const watcher = {
      progress: (progress: SyncProgress): void => this.#watcher.fullSync?.(progress),
      note: (): void => {},
      goAhead: async (): Promise<boolean> => true,
    };
    try {
      const { unverified } = await this.#edge.fullSync({
        ...{ tables, direction, resume, verify, backUp: true, watcher, signal },
        onAbort: "interrupted",
      });
      // its record says so, too
      if (unverified !== null && !signal.aborted) throw unverified;
    } catch (error) {
      if (error instanceof TomboloError && error.code === "FULL_SYNC_RUNS") {
        // another edge's: the hub goes on wishing for this one
        this.#taken.fullSync = 0n;
        this.#pauseMs = BUSY_PAUSE_MS;
      }
      if (isPassing(error)) this.#fill = { tables, direction, verify, resume: true };
      throw error;
    }
  }
}

const isTakenBack = (error: unknown): boolean => error instanceof TomboloError && error.code === "RECONCILE_CANCELLED";
