import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../stores/store.ts";
import { now } from "./clock.ts";

/** Between two looks. What is measured is a little more than the truth: by half of this and a round trip, on average. */
export const SAMPLE_MS = 3;

/** Looks into a store all the time and remembers when each new row was first seen. */
export class ArrivalSampler {
  readonly #store: Store;
  readonly #seen = new Map<number, number>();
  readonly #from: number;
  #stopping = false;
  readonly #done: Promise<void>;

  /** Watches rows beyond `from`, whose ids are consecutive. */
  constructor(store: Store, from: number) {
    this.#store = store;
    this.#from = from;
    this.#done = this.#watch();
  }

  /** Rows seen so far. */
  get count(): number {
    return this.#seen.size;
  }

  async stop(): Promise<ReadonlyMap<number, number>> {
    this.#stopping = true;
    await this.#done;
    return this.#seen;
  }

  async #watch(): Promise<void> {
    // concurrent transactions become visible out of order: all up to here have been seen
    let low = this.#from;
    for (;;) {
      // whoever stops knows that all has arrived: one more look sees it
      const last = this.#stopping;
      const ids = await this.#store.idsAfter(low);
      const at = now();
      for (const id of ids) if (!this.#seen.has(id)) this.#seen.set(id, at);
      while (this.#seen.has(low + 1)) low++;
      if (last) return;
      await sleep(SAMPLE_MS);
    }
  }
}

/** Milliseconds from commit to first sight, of every row; rows that were never seen are an error of the caller's. */
export function lags(commits: readonly (readonly [id: number, at: number])[], seen: ReadonlyMap<number, number>): number[] {
  return commits.map(([id, at]) => {
    const first = seen.get(id);
    if (first === undefined) throw new Error(`row ${id} never arrived`);
    return first - at;
  });
}
