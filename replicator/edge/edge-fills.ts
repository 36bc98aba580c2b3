import { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { SyncProgress } from "../full-sync/progress.ts";
import type { Edge } from "./edge.ts";

interface Wish {
  readonly tables: readonly TableName[];
  readonly resume: boolean;
}

interface FillsWatcher {
  fullSync?(progress: SyncProgress): void;
  failed(error: unknown, retryInMs: number): void;
}

/**
 * The full syncs that an agent runs beside its exchanges: those that the hub asks for, and what something interrupted. Whoever asked has agreed to what they do.
 */
export class EdgeFills {
  readonly #edge: Edge;
  readonly #watcher: FillsWatcher;
  readonly #pauseMs: number;
  #wish: Wish | undefined;
  #running: Promise<void> | undefined;
  #looked = false;
  #notBefore = 0;

  constructor(options: { readonly edge: Edge; readonly watcher: FillsWatcher; readonly pauseMs?: number }) {
    this.#edge = options.edge;
    this.#watcher = options.watcher;
    this.#pauseMs = options.pauseMs ?? PAUSE_MS;
  }

  wish(tables: readonly TableName[]): void {
    if (this.#running === undefined) this.#wish = { tables, resume: false };
  }

  /** Begins what is to be done, if nothing is being done. The hub answered a moment ago. */
  async goOn(signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined) return;
    if (!this.#looked) {
      const tables = await this.#edge.interrupted(signal);
      if (tables !== null) this.#wish ??= { tables, resume: true };
      this.#looked = true;
    }
    const wish = this.#wish;
    if (wish === undefined || performance.now() < this.#notBefore) return;
    this.#wish = undefined;
    this.#running = this.#run(wish, signal).finally(() => {
      this.#running = undefined;
    });
  }

  /** Waits for what is being done, which the signal has ended. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run({ tables, resume }: Wish, signal: AbortSignal): Promise<void> {
    const watcher = {
      progress: (progress: SyncProgress): void => this.#watcher.fullSync?.(progress),
      note: () => {},
      goAhead: async () => true,
    };
    try {
      await this.#edge.fullSync({ tables, resume, backUp: true, watcher, signal, onAbort: "interrupted" });
    } catch (error) {
      if (signal.aborted) return;
      const passes = error instanceof TomboloError && (error.kind === "connect" || error.kind === "retry");
      if (passes) this.#wish = { tables, resume: true };
      this.#notBefore = performance.now() + this.#pauseMs;
      this.#watcher.failed(error, this.#pauseMs);
    }
  }
}

const PAUSE_MS = 2_000;
