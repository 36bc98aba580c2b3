import type { RowText } from "./value.ts";

/**
 * What happened to a row. The letter is what the change log stores.
 * - `I` insert, `D` delete, `U` update, `T` truncate of the whole table;
 * - `R` refresh: the row *is* now exactly this (or absent), whatever the reader had; a verdict's way back to a child.
 */
export type Op = "I" | "U" | "D" | "T" | "R";

/**
 * One captured row change.
 *
 * | op | key | old | new |
 * |---|---|---|---|
 * | I | yes | null | the whole row |
 * | U | yes | the changed columns before (the whole row where the table logs whole images) | the same columns after |
 * | D | yes | the whole row | null |
 * | R | yes | null | the whole row, or null when there is none |
 * | T | `""` | null | null |
 *
 * An update never changes the key: that is a delete and an insert. `key`, `old` and `new` are JSON objects as text; the
 * text of a key is canonical within one node, so it may be compared as text there (and only there).
 */
export interface Change {
  /** Index into the packet's `tables`. */
  readonly table: number;
  readonly op: Op;
  readonly key: RowText;
  readonly old: RowText | null;
  readonly new: RowText | null;
  /** When the change was made, by the clock of the node where a person made it: microseconds since 1970, UTC. */
  readonly changedAt: number;
}
