/**
 * What the writers know about their own writes, kept small over hours: a token is forgotten when someone who saw it has replaced it. What is left in the
 * end has to be a value, or in a history.
 */
export class Books {
  readonly #alive = new Set<string>();
  /** Replaced by someone who saw it before its own writer was told of the commit. */
  readonly #replacedBefore = new Set<string>();
  transactions = 0;
  /** Of each line that anybody tried to write, the purchase that it refers to, which never changes. */
  readonly purchaseOf = new Map<string, string>();

  /** The tokens that a transaction wrote, and those that it saw and replaced, or deleted. */
  committed(written: readonly string[], over: readonly string[]): void {
    this.transactions += 1;
    for (const token of written) if (!this.#replacedBefore.delete(token)) this.#alive.add(token);
    this.#replaced(over);
  }

  /** The commit was cut off, or the server may take it back: it may have happened, and then accounts for what it replaced. */
  uncertain(over: readonly string[]): void {
    this.#replaced(over);
  }

  /** Nobody promises these any more: the only database that had them is gone. */
  excuse(is: (token: string) => boolean): void {
    for (const token of this.#alive) if (is(token)) this.#alive.delete(token);
  }

  /** Those that are to be somewhere. */
  get alive(): ReadonlySet<string> {
    return new Set(this.#alive);
  }

  lost(values: ReadonlySet<string>, recorded: ReadonlySet<string>): string[] {
    return [...this.#alive].filter((token) => !values.has(token) && !recorded.has(token));
  }

  #replaced(over: readonly string[]): void {
    for (const token of over) if (!this.#alive.delete(token)) this.#replacedBefore.add(token);
  }
}
