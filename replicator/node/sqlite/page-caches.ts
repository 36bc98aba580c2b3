import type { Database } from "better-sqlite3";

/** In KiB, for all files that this process has open together. */
const TOTAL_KIB = 32_000;
/** For one of them: with more, no workload of the benchmark is faster. */
const MOST_KIB = 8_000;
/** With so little, 1000 updates all over a table of 20 MB take 18 us each instead of 15, as pages go to the WAL more than once; rows in order take the same. */
const LEAST_KIB = 500;

/** Shares room for pages among the files that are open, so that many of them do not take many times what one takes. */
export class PageCaches {
  readonly #connections = new Set<Database>();

  /** For a connection that is there for a while only, the same as for those that stay. */
  get pragma(): string {
    const share = Math.floor(TOTAL_KIB / Math.max(1, this.#connections.size));
    return `cache_size = -${Math.max(LEAST_KIB, Math.min(MOST_KIB, share))}`;
  }

  add(connection: Database): void {
    this.#connections.add(connection);
    this.#share();
  }

  delete(connection: Database): void {
    this.#connections.delete(connection);
    this.#share();
  }

  #share(): void {
    const { pragma } = this;
    for (const connection of this.#connections) connection.pragma(pragma);
  }
}
