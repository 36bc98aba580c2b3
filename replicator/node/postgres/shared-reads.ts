import type { Change } from "../../change/change.ts";
import type { Position } from "../../change/names.ts";
import type { ReadCounts } from "../change-log.ts";
import type { TaggedChange, WindowRequest } from "./read.ts";
import { type SharedGroup, SharedWindow } from "./shared-window.ts";

/** What is kept of all windows, in bytes of text; in memory it is two to three times as much. */
const TOTAL_BYTES = 24 * 2 ** 20;
/** What is kept of one: what comes after makes room first. */
const WINDOW_BYTES = 6 * 2 ** 20;
/** See `SharedWindow`. */
const PATIENCE_MS = 1_000;
/** For readers that come so much later than the last. */
const KEPT_MS = 3_000;
/** Who has read within this time is taken to read on. */
const READS_ON_MS = 60_000;

export interface SharedLimits {
  readonly totalBytes: number;
  readonly windowBytes: number;
  readonly patienceMs: number;
}

const LIMITS: SharedLimits = { totalBytes: TOTAL_BYTES, windowBytes: WINDOW_BYTES, patienceMs: PATIENCE_MS };

/** A reader's wish; `peerId` is the reader. */
export type SharedRequest = WindowRequest & { readonly peerId: number };

/** How a window is read, for one reader or for all: see `readWindow`. */
export type ReadWindow = (request: WindowRequest) => AsyncGenerator<readonly Change[]>;

interface Kept {
  readonly after: Position;
  readonly upTo: Position;
  readonly window: SharedWindow;
  /** What filters could not tell of. */
  readonly unclear: readonly TaggedChange[];
  usedAt: number;
}

/**
 * Lets readers of the same tables that stand at the same position have one reading of the log. What is read for all is tagged with whom it came from
 * and whom it is for, so that each is given what it would have read itself: nothing that it sent, no refresh of another's. A reader goes its own way where
 * nobody reads the same, and where there is no room to keep anything for others.
 */
export class SharedReads {
  readonly #read: ReadWindow;
  readonly #limits: SharedLimits;
  /** By what is read: when each reader was last there. */
  readonly #readers = new Map<string, Map<number, number>>();
  readonly #kept = new Map<string, Kept[]>();
  #counts = { made: 0, spared: 0 };
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly read: ReadWindow;
    /** For tests. */
    readonly limits?: SharedLimits;
  }) {
    this.#read = options.read;
    this.#limits = options.limits ?? LIMITS;
  }

  get counts(): ReadCounts {
    return { ...this.#counts };
  }

  /** See `readWindow`. */
  async *read(request: SharedRequest): AsyncGenerator<readonly Change[]> {
    const key = keyOf(request);
    if (!this.#isShared(key, request.peerId)) return yield* this.#own(request);
    let { after } = request;
    do {
      const kept = this.#find(key, after, request.upTo) ?? this.#begin(key, { ...request, after });
      if (kept === null) return yield* this.#own({ ...request, after });
      yield* this.#part(kept, request);
      after = kept.upTo;
    } while (after < request.upTo);
  }

  #own(request: SharedRequest): AsyncGenerator<readonly Change[]> {
    this.#counts.made += 1;
    return this.#read(request);
  }

  /** Whoever is reading goes on; nobody joins. */
  forget(): void {
    clearTimeout(this.#sweep);
    this.#sweep = undefined;
    this.#kept.clear();
  }

  #isShared(key: string, reader: number): boolean {
    const now = performance.now();
    const readers = this.#readers.get(key) ?? new Map<number, number>();
    this.#readers.set(key, readers.set(reader, now));
    let others = false;
    for (const [id, at] of readers) {
      if (now - at > READS_ON_MS) readers.delete(id);
      else if (id !== reader) others = true;
    }
    return others;
  }

  /** The longest window that begins where the reader stands. */
  #find(key: string, after: Position, upTo: Position): Kept | null {
    let best: Kept | null = null;
    for (const kept of this.#kept.get(key) ?? []) {
      const fits = kept.after === after && kept.upTo <= upTo && kept.window.isWhole;
      if (fits && (best === null || kept.upTo > best.upTo)) best = kept;
    }
    if (best !== null) {
      this.#counts.spared += 1;
      best.usedAt = performance.now();
    }
    return best;
  }

  /** Null where there is no room for it. */
  #begin(key: string, request: SharedRequest): Kept | null {
    const limit = Math.max(this.#limits.windowBytes, 2 * request.maxBytes);
    if (!this.#makeRoom(limit)) return null;
    this.#counts.made += 1;
    const unclear: TaggedChange[] = [];
    const source = this.#read({ ...request, peerId: null, unclear: (change) => unclear.push(change as TaggedChange) });
    const window = new SharedWindow({
      source: source as AsyncGenerator<readonly TaggedChange[]>,
      limit,
      patienceMs: this.#limits.patienceMs,
    });
    const kept = { after: request.after, upTo: request.upTo, window, unclear, usedAt: performance.now() };
    this.#kept.set(key, [...(this.#kept.get(key) ?? []), kept]);
    this.#sweep ??= setTimeout(() => this.#clear(), KEPT_MS).unref();
    return kept;
  }

  async *#part(kept: Kept, request: SharedRequest): AsyncGenerator<readonly Change[]> {
    const { window } = kept;
    const reader = request.peerId;
    const place = window.join();
    /** The number of the last change that was passed on. */
    let last = -1n;
    try {
      for (let group = await window.next(place); group !== null; group = await window.next(place)) {
        place.leftBehind ||= hasNoPlace(group, reader);
        if (place.leftBehind) break;
        const own = partOf(group, reader);
        if (own.length > 0) yield own;
        const { seq } = group.changes.at(-1) as TaggedChange;
        if (seq > 0n) last = seq;
      }
    } finally {
      await window.leave(place);
    }
    if (place.leftBehind) yield* this.#alone(kept, request, last);
    else for (const change of kept.unclear) if (isFor(change, reader)) request.unclear?.(change);
  }

  /** The rest of a window that others read without this reader. */
  async *#alone({ after, upTo }: Kept, request: SharedRequest, last: bigint): AsyncGenerator<readonly Change[]> {
    this.#counts.made += 1;
    const { peerId, unclear } = request;
    const told = (change: Change): void => {
      if (isFor(change as TaggedChange, peerId)) unclear?.(change);
    };
    for await (const group of this.#read({ ...request, after, upTo, peerId: null, unclear: told })) {
      const own = (group as readonly TaggedChange[]).filter((change) => change.seq > last && isFor(change, peerId));
      if (own.length > 0) yield own;
    }
  }

  /** Whether so many bytes may be kept; the windows that were used longest ago make room, if nobody reads them. */
  #makeRoom(bytes: number): boolean {
    const all = [...this.#kept.values()].flat();
    let claimed = all.reduce((sum, { window }) => sum + window.claimed, 0);
    const idle = all.filter(({ window }) => window.finished).sort((a, b) => a.usedAt - b.usedAt);
    while (claimed + bytes > this.#limits.totalBytes) {
      const oldest = idle.shift();
      if (oldest === undefined) return false;
      claimed -= oldest.window.claimed;
      this.#drop((kept) => kept === oldest);
    }
    return true;
  }

  #clear(): void {
    const now = performance.now();
    this.#drop(({ window, usedAt }) => window.finished && (!window.isWhole || now - usedAt >= KEPT_MS));
    this.#sweep = this.#kept.size === 0 ? undefined : setTimeout(() => this.#clear(), KEPT_MS).unref();
  }

  #drop(which: (kept: Kept) => boolean): void {
    for (const [key, all] of this.#kept) {
      const left = all.filter((kept) => !which(kept));
      if (left.length > 0) this.#kept.set(key, left);
      else this.#kept.delete(key);
    }
  }
}

/** What is the same for all readers of a window. */
const keyOf = ({ tables, excluded, scoped = [], maxRows, maxBytes }: WindowRequest): string =>
  JSON.stringify([
    [...tables],
    [...excluded],
    scoped.map(({ table, filter }) => [table.id, table.columns.map(({ name }) => name), filter]),
    maxRows,
    maxBytes,
  ]);

const isFor = ({ origin, target }: TaggedChange, reader: number): boolean => (target === null ? origin !== reader : target === reader);

const partOf = ({ changes, common, concerned }: SharedGroup, reader: number): readonly Change[] =>
  concerned.has(reader) ? changes.filter((change) => isFor(change, reader)) : common;

/** Rows with which a reader is seeded all have the number 0: whoever is to have them could not be told how far it has come. */
const hasNoPlace = ({ changes, concerned }: SharedGroup, reader: number): boolean =>
  concerned.has(reader) && changes[0]?.seq === 0n && changes.some(({ seq, target }) => seq === 0n && target === reader);
