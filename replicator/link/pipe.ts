interface Waiting<T> {
  readonly piece: T;
  readonly taken: () => void;
  readonly broken: (error: Error) => void;
}

/** Hands pieces from one who makes them to one who reads them, once; the maker waits while the reader does not come after. */
export class Pipe<T> implements AsyncIterable<T> {
  #offered: Waiting<T> | undefined;
  #wanted: ((offered: IteratorResult<T>) => void) | undefined;
  #refused: ((error: unknown) => void) | undefined;
  #end: { readonly error: unknown } | undefined;
  #gone = false;

  /** Resolves when the reader has taken it. Throws `PipeClosed` once the reader has gone. One call at a time. */
  async put(piece: T): Promise<void> {
    if (this.#gone) throw new PipeClosed();
    if (this.#wanted !== undefined) {
      this.#wanted({ done: false, value: piece });
      this.#wanted = undefined;
      return;
    }
    await new Promise<void>((taken, broken) => {
      this.#offered = { piece, taken, broken };
    });
  }

  /** Nothing more comes; with an error, the reader gets that. */
  end(error?: unknown): void {
    this.#end ??= { error };
    const [wanted, refused] = [this.#wanted, this.#refused];
    this.#wanted = undefined;
    if (wanted === undefined) return;
    if (error === undefined) wanted({ done: true, value: undefined });
    else refused?.(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: () => this.#next(),
      // also where nothing was ever read
      return: async () => {
        this.#gone = true;
        this.#offered?.broken(new PipeClosed());
        this.#offered = undefined;
        return { done: true, value: undefined };
      },
    };
  }

  async #next(): Promise<IteratorResult<T>> {
    const offered = this.#offered;
    if (offered !== undefined) {
      this.#offered = undefined;
      offered.taken();
      return { done: false, value: offered.piece };
    }
    if (this.#gone) return { done: true, value: undefined };
    if (this.#end !== undefined) {
      if (this.#end.error !== undefined) throw this.#end.error;
      return { done: true, value: undefined };
    }
    return new Promise((wanted, refused) => {
      this.#wanted = wanted;
      this.#refused = refused;
    });
  }
}

/** The reader has gone: an answer that nobody waits for any more. */
export class PipeClosed extends Error {}
