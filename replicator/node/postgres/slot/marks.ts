import { TomboloError } from "../../../change/error.ts";
import { SharedCall } from "../../../change/shared-call.ts";

/** How long anyone waits for the log. */
export const PATIENCE_MS = 30_000;

interface Waiter {
  readonly mark: bigint;
  readonly settle: (error?: unknown) => void;
}

/**
 * Marks in the stream of commits. A mark is a transaction of ours; when it comes out of the stream, everything that was committed
 * before it is in the log. Callers share marks: one that has not been set yet serves everybody who comes until then.
 */
export class Marks {
  /** One that is being set may have been committed before the caller's transaction. */
  readonly #marks: SharedCall<bigint>;
  readonly #patienceMs: number;
  readonly #waiters = new Set<Waiter>();
  #reached = 0n;
  #failures = 0;
  #failure: unknown;

  /** `set`: sets the next mark: a commit, durable when it resolves. */
  constructor(options: { readonly set: () => Promise<bigint>; readonly patienceMs?: number }) {
    this.#marks = new SharedCall(options.set);
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  /** Resolves when a mark that was set after the call has come out of the stream. */
  async wait(): Promise<void> {
    const failures = this.#failures;
    const mark = await this.#marks.following();
    if (mark <= this.#reached) return;
    if (failures !== this.#failures) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        mark,
        settle: (error) => {
          this.#waiters.delete(waiter);
          clearTimeout(timer);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const timer = setTimeout(() => waiter.settle(behind()), this.#patienceMs);
      this.#waiters.add(waiter);
    });
  }

  reached(mark: bigint): void {
    if (mark > this.#reached) this.#reached = mark;
    for (const waiter of [...this.#waiters]) if (waiter.mark <= this.#reached) waiter.settle();
  }

  /** Nothing comes out of the stream any more. */
  fail(error: unknown): void {
    this.#failures += 1;
    this.#failure = error;
    for (const waiter of [...this.#waiters]) waiter.settle(error);
  }
}

export const behind = (): TomboloError =>
  new TomboloError("the change log lags behind its replication slot", {
    code: "SLOT_BEHIND",
    kind: "retry",
    hint: "The server decodes a large transaction, or is busy: it catches up by itself.",
  });
