import type pg from "pg";
import type { Change } from "../../change/change.ts";
import type { Position } from "../../change/names.ts";
import { askNewest, isSmall, type WindowRequest } from "./read.ts";
import type { RecentTicks, TickRow } from "./recent-ticks.ts";

/** Who has not read for so long is not waited for. */
const READS_ON_MS = 2_000;

/**
 * What the only reader of a log will ask for next is read together with the tick, by the transaction that seals it, and so takes no round trip of its own.
 * Nobody has it before that is durable. A guess that does not fit is dropped, and the window is read as any other.
 */
export class NextWindow {
  readonly #recent: RecentTicks;
  readonly #hstore: string;
  /** What each reader read last. */
  readonly #readers = new Map<number | null, { readonly request: WindowRequest; readonly at: number }>();
  #known: { readonly request: WindowRequest; readonly upTo: Position; readonly changes: readonly Change[] } | undefined;

  constructor(options: { readonly recent: RecentTicks; readonly hstore: string }) {
    this.#recent = options.recent;
    this.#hstore = options.hstore;
  }

  /** This was asked for. */
  note(request: WindowRequest): void {
    const now = performance.now();
    for (const [reader, { at }] of this.#readers) if (now - at > READS_ON_MS) this.#readers.delete(reader);
    this.#readers.set(request.peerId, { request, at: now });
  }

  /** Null when it was not foreseen. */
  take(request: WindowRequest): readonly Change[] | null {
    const known = this.#known;
    this.#known = undefined;
    return known?.upTo === request.upTo && isSame(known.request, request) ? known.changes : null;
  }

  /**
   * The question for what follows `after`, to be asked in the transaction of the next tick; null where nobody is expected to read there. Its answer is told to
   * `sealed` when that is committed.
   */
  question(after: Position | undefined): Question | null {
    this.#known = undefined;
    const [last, ...others] = this.#readers.values();
    const from = after === undefined ? undefined : this.#recent.get(after);
    if (last === undefined || others.length > 0 || from === undefined || after === undefined) return null;
    const { request } = last;
    if (request.upTo !== after || request.peerId === null || (request.scoped ?? []).length > 0) return null;
    // asked anew only by who reads again
    this.#readers.clear();
    const next = { ...request, after };
    let asked: Promise<readonly Change[] | null> | undefined;
    return {
      ask: (client) => {
        asked = askNewest(client, this.#hstore, next, from);
        return asked;
      },
      sealed: async (upTo, tick) => {
        const changes = (await asked) ?? null;
        if (changes !== null && isSmall(from, tick)) this.#known = { request: next, upTo, changes };
      },
    };
  }
}

/** Of a window that ends with a tick that is being made. */
export interface Question {
  ask(client: pg.ClientBase): Promise<unknown>;
  sealed(upTo: Position, tick: TickRow): Promise<void>;
}

const isSame = (a: WindowRequest, b: WindowRequest): boolean =>
  a.peerId === b.peerId &&
  a.after === b.after &&
  (b.scoped ?? []).length === 0 &&
  JSON.stringify([[...a.tables], [...a.excluded]]) === JSON.stringify([[...b.tables], [...b.excluded]]);
