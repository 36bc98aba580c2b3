import { TomboloError } from "../change/error.ts";

/** Longer than anything that moves goes without a sign: a database that sorts a large backlog, or checks the keys of a large commit. */
const SILENT_MS = 5 * 60_000;
const LOOKS = 20;

/**
 * Tells of a round that neither moves nor ends. Whatever it waits for should have failed by itself, so this never happens; should it, somebody has to
 * hear of it. The round is left alone: it may still be at work, and what it does once, another would do again.
 */
export class RoundWatch {
  readonly #silent: (error: TomboloError) => void;
  readonly #silentMs: number;
  #movedAt: number | null = null;
  #told = false;

  /** @param options.silent called once for a round that is silent. */
  constructor(options: { readonly silent: (error: TomboloError) => void; readonly silentMs?: number }) {
    this.#silent = options.silent;
    this.#silentMs = options.silentMs ?? SILENT_MS;
  }

  /** Looks now and then until the signal aborts. */
  start(signal: AbortSignal): void {
    const timer = setInterval(() => this.#look(), this.#silentMs / LOOKS);
    timer.unref();
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Something moved. */
  readonly moved = (): void => {
    if (this.#movedAt !== null) this.#movedAt = performance.now();
  };

  async during<T>(round: () => Promise<T>): Promise<T> {
    this.#movedAt = performance.now();
    this.#told = false;
    try {
      return await round();
    } finally {
      this.#movedAt = null;
    }
  }

  #look(): void {
    if (this.#told || this.#movedAt === null || performance.now() - this.#movedAt < this.#silentMs) return;
    this.#told = true;
    this.#silent(
      new TomboloError(`a round has not moved for ${Math.round(this.#silentMs / 60_000)} minutes`, {
        code: "ROUND_SILENT",
        kind: "operator",
        hint: "See what the two databases are waiting for (locks, disk, network). If it is nothing, start the replicator anew, which loses nothing, and report it.",
      }),
    );
  }
}
