/**
 * A call that many make at once. One that is under way may have begun too early to know what a caller knows: whoever comes meanwhile has the next one, and shares
 * it with everybody who comes until that begins.
 */
export class SharedCall<T> {
  readonly #call: () => Promise<T>;
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(call: () => Promise<T>) {
    this.#call = call;
  }

  /** Answers what a call comes to that begins after this one. Throws what it throws. */
  following(): Promise<T> {
    if (this.#running === undefined) {
      this.#running = this.#call().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.following();
      });
    return this.#next;
  }
}
