import type { Statement } from "better-sqlite3";
import type { Position } from "../../change/names.ts";
import { type Connection, type DatabaseFile, sqliteError } from "./connection.ts";
import { newestEntry } from "./tick.ts";

/** While the database was written to a moment ago; a look is a few system calls. */
const BUSY_POLL_MS = 5;
/** While it is quiet: 50 looks a second are about 1 % of a core of a busy two-core machine, timers included. */
const IDLE_POLL_MS = 20;
const RECENTLY_MS = 500;

/** Tells when something was captured, by the file's change counter: SQLite has no notification across processes. */
export class News {
  readonly #connection: Connection;
  readonly #file: DatabaseFile;
  readonly #version: Statement<unknown[]>;
  #changedAt = 0;

  constructor(file: DatabaseFile) {
    this.#file = file;
    // of its own: the counter shows what other connections commit, those of this process included
    this.#connection = file.connect();
    this.#version = this.#connection.prepare("pragma data_version").pluck();
  }

  wait(after: Position, signal: AbortSignal): Promise<void> {
    let version: unknown;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", aborted);
        settle();
      };
      const aborted = (): void => done(resolve);
      const look = (): void => {
        try {
          if (!this.#connection.open) {
            done(resolve);
            return;
          }
          const now = this.#version.get();
          if (now !== version) {
            if (version !== undefined) this.#changedAt = performance.now();
            version = now;
            if (this.#file.read(newestEntry) > after) {
              done(resolve);
              return;
            }
          }
          const poll = performance.now() - this.#changedAt < RECENTLY_MS ? BUSY_POLL_MS : IDLE_POLL_MS;
          timer = setTimeout(look, poll).unref();
        } catch (error) {
          done(() => reject(sqliteError(error, this.#file.node)));
        }
      };
      signal.addEventListener("abort", aborted);
      if (signal.aborted) aborted();
      else look();
    });
  }

  close(): void {
    this.#connection.close();
  }
}
