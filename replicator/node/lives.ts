import { TomboloError } from "../change/error.ts";
import type { Tick } from "./change-log.ts";

/**
 * Notices that a database was put back to a copy of itself while it is open: its newest tick is one that this process had passed, or another of the same number; or the one
 * that was the newest is another by now, where others have gone on from the copy. Connections that break tell of it, too, but not everyone has one at that moment.
 */
export class Lives {
  #count = 0;
  #last: Tick | undefined;

  /** How often that happened, or may have. */
  get count(): number {
    return this.#count;
  }

  /** The tick that was passed last. */
  get last(): Tick | undefined {
    return this.#last;
  }

  /**
   * To be told of every tick in the order in which they were found to be the newest. `lastNow`: `Tick.sealedAs` of what the log holds now at the position of `last`; null where there is
   * none. Throws `DATABASE_PUT_BACK` (retry).
   */
  passed(tick: Tick, lastNow: string | null): void {
    const last = this.#last;
    this.#last = tick;
    if (last === undefined || isSame(tick, last)) return;
    const isFurther = tick.position > last.position;
    if (isFurther && (last.sealedAs === undefined || lastNow === last.sealedAs)) return;
    this.#count += 1;
    // purged, or never made in this life: what is remembered is to be looked up anew
    if (isFurther && lastNow === null) return;
    // the one that was just sealed may be taken back with what fails here
    this.#last = undefined;
    throw putBack(
      `the log ended with position ${last.position}, and now it ${isFurther ? "has another of that number" : `ends with another ${tick.position}`}`,
    );
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
