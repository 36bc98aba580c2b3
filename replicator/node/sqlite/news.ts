import { setTimeout as sleep } from "node:timers/promises";
import type { Position } from "../../change/names.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { newestEntry } from "./tick.ts";

/** While the database was written to a moment ago; a look costs some 10 microseconds. */
const BUSY_POLL_MS = 5;
/** While it is quiet: 60 looks a second are well under 0.5 % of a core. */
const IDLE_POLL_MS = 16;
const RECENTLY_MS = 500;

/** Tells when something was captured, by the file's change counter: SQLite has no notification across processes. */
export class News {
  readonly #connection: Connection;
  readonly #file: DatabaseFile;
  #changedAt = 0;

  constructor(file: DatabaseFile) {
    this.#file = file;
    // of its own: the counter shows what other connections commit, those of this process included
    this.#connection = file.connect();
  }

  async wait(after: Position, signal: AbortSignal): Promise<void> {
    let version: bigint | undefined;
    while (!signal.aborted) {
      const now = this.#connection.pragma("data_version", { simple: true }) as bigint;
      if (now !== version) {
        if (version !== undefined) this.#changedAt = performance.now();
        version = now;
        if (this.#file.read(newestEntry) > after) return;
      }
      const poll = performance.now() - this.#changedAt < RECENTLY_MS ? BUSY_POLL_MS : IDLE_POLL_MS;
      await sleep(poll, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  close(): void {
    this.#connection.close();
  }
}
