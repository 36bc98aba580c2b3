import { type FSWatcher, watch } from "node:fs";
import type { Position } from "../../change/names.ts";
import { type DatabaseFile, sqliteError } from "./connection.ts";
import { newestEntry } from "./tick.ts";

/** While the file was written to a moment ago; a look is a few system calls. */
const BUSY_MS = 5;
const BUSY_FOR_MS = 500;
/**
 * After that the file is watched as well. Both for a while: what was being committed when the watch began may have been written
 * before it, and shows only once the disk has it.
 */
const CALM_MS = 20;
const CALM_FOR_MS = 1_000;
/** Then the watch alone wakes us; this look catches what it may have missed. */
const ASLEEP_MS = 1_000;
/** Commits in a row of which the watch knew nothing, as on some shared folders, before it is given up for polling. */
const MISSES = 3;

interface Waiter {
  readonly after: Position;
  readonly settle: (error?: unknown) => void;
}

/**
 * Tells when something was captured. SQLite has no notification across processes: the file's change counter says that something was
 * committed, and a watch of the operating system on its write-ahead log says when to look. An idle database costs one look a second;
 * polling all the time would be 1 % of a core.
 */
export class News {
  readonly #file: DatabaseFile;
  readonly #waiters = new Set<Waiter>();
  #closed = false;
  #seen: unknown;
  #newest = 0n;
  #stirredAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;
  #misses = 0;

  constructor(file: DatabaseFile) {
    this.#file = file;
  }

  wait(after: Position, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const aborted = (): void => waiter.settle();
      const waiter: Waiter = {
        after,
        settle: (error) => {
          this.#waiters.delete(waiter);
          signal.removeEventListener("abort", aborted);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      signal.addEventListener("abort", aborted);
      this.#waiters.add(waiter);
      this.#look("asked");
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#unwatch();
    this.#closed = true;
    for (const waiter of [...this.#waiters]) waiter.settle();
  }

  #look(why: "asked" | "timer" | "watch"): void {
    clearTimeout(this.#timer);
    try {
      if (this.#closed) return;
      const now = this.#file.version;
      if (now !== this.#seen) {
        if (why === "timer" && this.#watcher !== undefined && this.#quietMs() > CALM_FOR_MS) this.#misses += 1;
        if (this.#seen !== undefined) this.#stir();
        this.#seen = now;
        this.#newest = this.#file.read(newestEntry);
      }
      for (const waiter of [...this.#waiters]) if (this.#newest > waiter.after) waiter.settle();
      if (this.#waiters.size > 0) this.#timer = setTimeout(() => this.#look("timer"), this.#pause()).unref();
    } catch (error) {
      // looked at afresh next time
      this.#seen = undefined;
      const failure = sqliteError(error, this.#file.node);
      for (const waiter of [...this.#waiters]) waiter.settle(failure);
    }
  }

  readonly #quietMs = (): number => performance.now() - this.#stirredAt;

  /** How long until the next look; sees to it that the file is watched by then. */
  #pause(): number {
    const quiet = this.#quietMs();
    if (quiet < BUSY_FOR_MS) return BUSY_MS;
    return this.#watched() && quiet >= CALM_FOR_MS ? ASLEEP_MS : CALM_MS;
  }

  /** Something is written: its commit is near, or was just seen. A busy file is not watched, as every write of it would call. */
  #stir(): void {
    this.#stirredAt = performance.now();
    this.#unwatch();
  }

  #watched(): boolean {
    if (this.#watcher !== undefined) return true;
    if (this.#misses >= MISSES) return false;
    try {
      // it is there while we have the database open
      const watcher = watch(`${this.#file.path}-wal`, { persistent: false }, () => {
        if (watcher !== this.#watcher) return;
        this.#misses = 0;
        this.#stir();
        this.#look("watch");
      });
      watcher.on("error", () => {
        if (watcher !== this.#watcher) return;
        this.#unwatch();
        this.#misses = MISSES;
      });
      this.#watcher = watcher;
      // one that begins now has seen nothing of the time before
      this.#stirredAt = performance.now() - BUSY_FOR_MS;
      return true;
    } catch {
      // no such file in another journal mode, or no more watches to be had: polling goes on, and this is tried again
      return false;
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
