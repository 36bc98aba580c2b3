import type { Value } from "../../change/value.ts";

/** What became of one column at both sides. */
export interface ColumnEdits {
  /** Undefined where it is not known, or where there was none: two inserts. */
  readonly base: Value | undefined;
  readonly parent: Value;
  readonly child: Value;
}

/** The value that holds both edits, in the form of the inputs; or one sentence why there is none: names and positions, never values. */
export type Merged = { readonly value: Value } | { readonly overlap: string };

export const overlap = (reason: string): { readonly overlap: string } => ({ overlap: reason });
