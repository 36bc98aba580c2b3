import type { CheckedRow } from "./row-check.ts";

/** Rows are asked for whole, and of both sides: so much of them, in characters, is held at once. */
const CHARACTERS = 16 * 2 ** 20;
/** Before it is known how large they are. */
const FIRST_ROWS = 50;

/** How many rows are looked at together: few until it is known how large they are, and then as many as there is room for. Rows of 1 MB are not asked for by the thousand. */
export class RowsAtOnce {
  #rows = FIRST_ROWS;
  readonly #most: number;
  readonly #characters: number;

  constructor({ most, characters = CHARACTERS }: { readonly most: number; readonly characters?: number | undefined }) {
    this.#most = most;
    this.#characters = characters;
  }

  get next(): number {
    return Math.min(this.#rows, this.#most);
  }

  /** What came of the last. */
  note(rows: readonly Pick<CheckedRow, "parent" | "child">[]): void {
    if (rows.length === 0) return;
    const characters = rows.reduce((sum, { parent, child }) => sum + (parent?.row.length ?? 0) + (child?.row.length ?? 0), 0);
    const fitting = Math.floor((this.#characters * rows.length) / Math.max(1, characters));
    this.#rows = Math.max(1, Math.min(this.next * 4, fitting));
  }
}
