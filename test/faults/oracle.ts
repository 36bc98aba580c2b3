/**
 * What the applications know about their own writes, independent of the product: every committed write has a token, and whoever
 * overwrites a value says which token it saw. In the end each token must be accounted for: it is the final value somewhere in
 * the row's history as the applications saw it, or the product recorded it (conflict history, parked changes).
 */
export class Oracle {
  readonly #committed = new Set<string>();
  /** Writes whose commit was cut off: they may have happened or not. */
  readonly #uncertain = new Set<string>();
  readonly #overwritten = new Set<string>();

  committed(token: string, over: string | null): void {
    this.#committed.add(token);
    if (over !== null) this.#overwritten.add(over);
  }

  uncertain(token: string, over: string | null): void {
    this.#uncertain.add(token);
    // if it did happen, it accounts for what it overwrote; if not, that is still there to be found
    if (over !== null) this.#overwritten.add(over);
  }

  get size(): number {
    return this.#committed.size;
  }

  /** Tokens of committed writes that are nowhere to be found. */
  lost(finalValues: ReadonlySet<string>, recorded: string): string[] {
    return [...this.#committed].filter(
      (token) => !this.#overwritten.has(token) && !finalValues.has(token) && !recorded.includes(`"${token}"`),
    );
  }
}
