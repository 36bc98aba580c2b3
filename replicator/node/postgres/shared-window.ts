import { setTimeout as delay } from "node:timers/promises";
import type { Change } from "../../change/change.ts";
import { bytesOf, type TaggedChange } from "./read.ts";

/** Changes of a window as all its readers have them. */
export interface SharedGroup {
  readonly changes: readonly TaggedChange[];
  /** What every reader is given that has no part in the group: the very same array for each of them. */
  readonly common: readonly Change[];
  /** Peers from which some of it came, or for which alone some of it is. */
  readonly concerned: ReadonlySet<number>;
  readonly bytes: number;
}

/** Where a reader stands in a window. */
export interface Place {
  /** Of the group that comes next. */
  at: number;
  leftBehind: boolean;
}

/**
 * One reading of a window of the log for several readers, each at its own pace. Groups are fetched when the first of them wants one, and kept
 * until the last has had it, within `limit` bytes; as long as the window has not outgrown that, all of it is kept for those who come later.
 */
export class SharedWindow {
  readonly #source: AsyncGenerator<readonly TaggedChange[]>;
  readonly #limit: number;
  readonly #patienceMs: number;
  readonly #places = new Set<Place>();
  #groups: SharedGroup[] = [];
  /** Groups that are no longer kept. */
  #dropped = 0;
  #bytes = 0;
  #outgrown = false;
  #fetching: Promise<void> | undefined;
  #end: { readonly error?: unknown } | undefined;
  #moved: (() => void)[] = [];

  constructor(options: {
    readonly source: AsyncGenerator<readonly TaggedChange[]>;
    readonly limit: number;
    /** A reader that does not move for so long while others wait for it goes on by itself. */
    readonly patienceMs: number;
  }) {
    this.#source = options.source;
    this.#patienceMs = options.patienceMs;
    this.#limit = options.limit;
  }

  /** Bytes that are kept, or that may yet be. */
  get claimed(): number {
    return this.#end === undefined ? Math.max(this.#limit, this.#bytes) : this.#bytes;
  }

  get finished(): boolean {
    return this.#end !== undefined && this.#places.size === 0;
  }

  /** Whether who comes now finds the window from its beginning. */
  get isWhole(): boolean {
    return !this.#outgrown && (this.#end === undefined || !("error" in this.#end));
  }

  join(): Place {
    const place = { at: 0, leftBehind: false };
    this.#places.add(place);
    return place;
  }

  /** The reader wants no more. */
  async leave(place: Place): Promise<void> {
    this.#places.delete(place);
    this.#release();
    if (this.#places.size > 0 || this.#end !== undefined) return;
    this.#outgrown = true;
    this.#end = {};
    this.#groups = [];
    this.#bytes = 0;
    await this.#source.return(undefined);
  }

  /** The next group; null at the end, or when the reader was left behind (see `Place`). Throws what reading threw, to each of the readers. */
  async next(place: Place): Promise<SharedGroup | null> {
    for (;;) {
      if (place.leftBehind) return null;
      const group = this.#groups[place.at - this.#dropped];
      if (group !== undefined) {
        place.at += 1;
        this.#release();
        return group;
      }
      if (this.#end !== undefined) {
        if ("error" in this.#end) throw this.#end.error;
        return null;
      }
      if (this.#bytes > this.#limit) await this.#room();
      else await this.#fetch();
    }
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#source
      .next()
      .then(
        (next) => {
          if (next.done === true) this.#end ??= {};
          else if (this.#end === undefined) this.#keep(next.value);
        },
        (error: unknown) => {
          this.#end = { error };
        },
      )
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  #keep(changes: readonly TaggedChange[]): void {
    const concerned = new Set<number>();
    let bytes = 0;
    let targeted = false;
    for (const change of changes) {
      if (change.origin !== null) concerned.add(change.origin);
      if (change.target !== null) concerned.add(change.target);
      targeted ||= change.target !== null;
      bytes += bytesOf(change);
    }
    const common = targeted ? changes.filter(({ target }) => target === null) : changes;
    this.#groups.push({ changes, common, concerned, bytes });
    this.#bytes += bytes;
    if (this.#bytes > this.#limit) this.#outgrown = true;
    this.#release();
  }

  /** Lets go of what everybody has had, once nobody who comes later can have it. */
  #release(): void {
    const moved = this.#moved;
    this.#moved = [];
    if (this.#outgrown) {
      const lowest = this.#slowest();
      while (this.#dropped < lowest && this.#groups.length > 0) {
        this.#bytes -= this.#groups.shift()?.bytes ?? 0;
        this.#dropped += 1;
      }
    }
    for (const tell of moved) tell();
  }

  readonly #slowest = (): number => Math.min(...[...this.#places].map(({ at }) => at));

  /** Waits for the slowest readers, who hold all that there is room for; not for ever. */
  async #room(): Promise<void> {
    const before = this.#dropped;
    const waiting = new AbortController();
    const hasMoved = await Promise.race([
      new Promise<true>((resolve) => this.#moved.push(() => resolve(true))),
      delay(this.#patienceMs, false, { signal: waiting.signal }).catch(() => false),
    ]);
    waiting.abort();
    if (hasMoved || this.#dropped > before || this.#bytes <= this.#limit) return;
    const lowest = this.#slowest();
    for (const place of this.#places) {
      if (place.at > lowest) continue;
      place.leftBehind = true;
      this.#places.delete(place);
    }
    this.#release();
  }
}
