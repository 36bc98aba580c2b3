export type Tokens = readonly string[];
/** A token, or one that was moved here: its index in the base. */
export type Item = string | number;
export type Joined = { readonly tokens: Tokens } | { readonly overlap: string };

/** Where the tokens of one side come from in the base. */
export interface Alignment {
  /** For each token of the side the index in the base, or -1 for a new one. No index of the base occurs twice. */
  readonly from: Int32Array;
  /** Indices of the base that have changed places with others; all the rest are in ascending order. */
  readonly moved: ReadonlySet<number>;
}

/** A stretch of the base and what becomes of it. The pieces of a merge cover the base from start to end, insertions between two tokens included. */
export interface Piece {
  readonly start: number;
  readonly end: number;
  readonly items: readonly Item[];
  /** True where neither side touched it. */
  readonly kept: boolean;
}

/** `push(...items)` would put every item on the stack. */
export function append<T>(to: T[], items: readonly T[]): void {
  for (const item of items) to.push(item);
}

/** How often each token occurs. */
export function countTokens(tokens: Tokens): Map<string, number> {
  const counts = new Map<string, number>();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  return counts;
}
