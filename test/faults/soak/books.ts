/**
 * What the writers know about their own writes, kept small over hours: a token is forgotten when someone who saw it has replaced it. What is left in the
 * end has to be a value, or in a history.
 */
export class Books {
  readonly #alive = new Set<string>();
  /** Replaced by someone who saw it before its own writer was told of the commit. */
  readonly #replacedBefore = new Set<string>();
  transactions = 0;

  /** `token` is null for a delete. */
  committed(token: string | null, over: string | null): void {
    this.transactions += 1;
    if (token !== null && !this.#replacedBefore.delete(token)) this.#alive.add(token);
    this.#replaced(over);
  }

  /** The commit was cut off: it may have happened, and then accounts for what it replaced. */
  uncertain(over: string | null): void {
    this.#replaced(over);
  }

  lost(values: ReadonlySet<string>, recorded: ReadonlySet<string>): string[] {
    return [...this.#alive].filter((token) => !values.has(token) && !recorded.has(token));
  }

  #replaced(over: string | null): void {
    if (over !== null && !this.#alive.delete(over)) this.#replacedBefore.add(over);
  }
}
