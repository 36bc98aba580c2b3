import { TomboloError } from "../change/error.ts";
import type { Tick } from "./change-log.ts";

/**
 * Notices that a database was put back to a copy of itself while it is open: its newest tick is one that this process had passed, or another of the same number.
 * Connections that break tell of it, too, but not everyone has one at that moment.
 */
export class Lives {
  #count = 0;
  #last: Tick | undefined;

  /** How often that happened. */
  get count(): number {
    return this.#count;
  }

  /** To be told of every tick in the order in which they were found to be the newest. Throws `DATABASE_PUT_BACK` (retry). */
  passed(tick: Tick): void {
    const last = this.#last;
    this.#last = tick;
    if (last === undefined || tick.position > last.position || isSame(tick, last)) return;
    // the one that was just sealed may be taken back with what fails here
    this.#last = undefined;
    this.#count += 1;
    throw putBack(`the log ended with position ${last.position}, and now it ends with another ${tick.position}`);
  }
}

export const putBack = (message: string): TomboloError =>
  new TomboloError(message, {
    code: "DATABASE_PUT_BACK",
    kind: "retry",
    hint: "The database was put back to a copy of itself; its links look again what both ends have.",
  });

export const putBackSince = ({ position }: Pick<Tick, "position">): TomboloError =>
  putBack(`the log that was read up to position ${position} ends before it, or has another of that number`);

/** The beginning of a log is not sealed until somebody reads from there. */
const isSame = (one: Tick, other: Tick): boolean =>
  one.position === other.position && (one.sealedAs === undefined || other.sealedAs === undefined || one.sealedAs === other.sealedAs);
