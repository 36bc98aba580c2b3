import type { Change } from "../change/change.ts";

export interface GroupLimits {
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** Cuts changes into groups within the limits, as they come; a single change may be larger than `maxBytes`. */
export class Grouping {
  readonly #limits: GroupLimits;
  #group: Change[] = [];
  #bytes = 0;

  constructor(limits: GroupLimits) {
    this.#limits = limits;
  }

  /** Answers the group that was full before this change; null while there is room. */
  add(change: Change, bytes: number): readonly Change[] | null {
    const { maxRows, maxBytes } = this.#limits;
    const full = this.#group.length > 0 && (this.#group.length >= maxRows || this.#bytes + bytes > maxBytes);
    const group = full ? this.#group : null;
    if (full) {
      this.#group = [];
      this.#bytes = 0;
    }
    this.#group.push(change);
    this.#bytes += bytes;
    return group;
  }

  /** What is left at the end; may be empty. */
  rest(): readonly Change[] {
    return this.#group;
  }
}
