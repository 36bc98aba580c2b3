import { TomboloError } from "../change/error.ts";

/** So many work with the hub's databases at once: fewer than a node has connections, so that nobody waits for one for long. */
const AT_ONCE = 12;
/** Who has not come in by then is told to come again; an edge waits for half a minute. */
const PATIENCE_MS = 10_000;

/**
 * A thousand edges that come back at once are served a few at a time, in the order in which they came, and those who would wait for too long are asked to come again.
 * Nobody keeps others out while a line is slow, or while there is no news.
 */
export class Turns {
  readonly #atOnce: number;
  readonly #patienceMs: number;
  readonly #waiting = new Set<() => void>();
  #working = 0;

  constructor({ atOnce = AT_ONCE, patienceMs = PATIENCE_MS }: { readonly atOnce?: number; readonly patienceMs?: number } = {}) {
    this.#atOnce = atOnce;
    this.#patienceMs = patienceMs;
  }

  /** Waits for a turn. Throws `RATE_LIMITED` (retry). */
  async begin(): Promise<Turn> {
    const turn = new Turn({ enter: (patienceMs) => this.#enter(patienceMs), leave: () => this.#leave() });
    await turn.take(this.#patienceMs);
    return turn;
  }

  #enter(patienceMs: number | null): Promise<void> {
    if (this.#working < this.#atOnce) {
      this.#working += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const come = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(come);
        resolve();
      };
      const give = (): void => {
        this.#waiting.delete(come);
        reject(busy());
      };
      const timer = patienceMs === null ? undefined : setTimeout(give, patienceMs);
      this.#waiting.add(come);
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    // the turn goes on to the one who has waited for longest
    if (next === undefined) this.#working -= 1;
    else next();
  }
}

/** One exchange's: taken while it works, given back while it waits for others. */
export class Turn {
  readonly #ways: { enter(patienceMs: number | null): Promise<void>; leave(): void };
  #isIn = false;

  constructor(ways: { enter(patienceMs: number | null): Promise<void>; leave(): void }) {
    this.#ways = ways;
  }

  /** Once it has begun, it waits for as long as it takes. */
  async take(patienceMs: number | null = null): Promise<void> {
    if (this.#isIn) return;
    await this.#ways.enter(patienceMs);
    this.#isIn = true;
  }

  giveBack(): void {
    if (!this.#isIn) return;
    this.#isIn = false;
    this.#ways.leave();
  }

  /** Without a turn while `work` goes on. */
  async without<T>(work: () => Promise<T>): Promise<T> {
    this.giveBack();
    try {
      return await work();
    } finally {
      await this.take();
    }
  }

  /** The items, which others bring. */
  async *whileOthersBring<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.without(() => iterator.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
}

/** Throws `RATE_LIMITED` (retry), and what the work throws. */
export async function inTurn<T>(turns: Turns, work: () => Promise<T>): Promise<T> {
  const turn = await turns.begin();
  try {
    return await work();
  } finally {
    turn.giveBack();
  }
}

const busy = (): TomboloError =>
  new TomboloError("too many edges have come at once", { code: "RATE_LIMITED", kind: "retry", hint: "Wait as long as Retry-After says." });
