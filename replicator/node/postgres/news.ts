import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { Position } from "../../change/names.ts";
import type { NewsOf } from "../change-log.ts";
import type { Touched } from "./touched.ts";
import { concerned, type Waiting } from "./who-is-concerned.ts";

/** Poll interval shortly after a change, and for how long. */
const BUSY_MS = 4;
const BUSY_FOR_MS = 1_000;
/** Poll interval after that, before the watcher falls asleep. */
const QUIET_MS = 15;
const QUIET_FOR_MS = 5_000;
/** Asleep, capture wakes the watcher by a notification; this poll catches a transaction that was begun before it fell asleep. */
const ASLEEP_MS = 1_000;

/** What a look into the log finds. */
export interface LogState {
  /** The newest tick. */
  readonly position: Position;
  /** Something became visible since. */
  readonly unsealed: boolean;
}

interface Waiter {
  /** Nothing is for it up to there. */
  after: Position;
  readonly of: NewsOf | undefined;
  readonly tell: () => void;
}

/**
 * Tells when there may be something new in the change log. Awake it polls; after a quiet while it sets
 * tombolo.log_listening and waits to be notified, so that an idle system costs next to nothing while a change still
 * leaves at once. Notifications are not used all the time: they serialise the commits of all writers.
 */
export class NewsWatcher {
  readonly #pool: pg.Pool;
  readonly #look: () => Promise<LogState>;
  readonly #seal: () => Promise<Position>;
  readonly #touched: (after: Position, upTo: Position) => Promise<Touched | null>;
  #waiters = new Set<Waiter>();
  #running = false;
  #lastNews = performance.now();
  #sleeper: pg.PoolClient | undefined;
  #wake: () => void = () => undefined;
  readonly #rouse = (): void => this.#wake();
  #poked = false;
  #closed = false;

  constructor(options: {
    readonly pool: pg.Pool;
    readonly look: () => Promise<LogState>;
    /** Makes a tick of what is there. */
    readonly seal: () => Promise<Position>;
    readonly touched: (after: Position, upTo: Position) => Promise<Touched | null>;
  }) {
    this.#pool = options.pool;
    this.#look = options.look;
    this.#seal = options.seal;
    this.#touched = options.touched;
  }

  /** Answers up to where nothing is for the waiter. */
  async wait(after: Position, signal: AbortSignal, of?: NewsOf): Promise<Position> {
    if (signal.aborted || this.#closed) return after;
    return new Promise<Position>((resolve) => {
      const waiter: Waiter = {
        after,
        of,
        tell: () => {
          this.#waiters.delete(waiter);
          signal.removeEventListener("abort", waiter.tell);
          resolve(waiter.after);
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener("abort", waiter.tell, { once: true });
      if (!this.#running) void this.#watch();
    });
  }

  /** Something is new: whoever knows it says so, and nobody has to look. */
  poke(): void {
    this.#lastNews = performance.now();
    this.#poked = true;
    this.#tellAll();
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tellAll();
    this.#wake();
    await this.#awaken();
  }

  #tellAll(): void {
    for (const waiter of [...this.#waiters]) waiter.tell();
  }

  /** Runs while anyone waits. */
  async #watch(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiters.size > 0 && !this.#closed) {
        this.#poked = false;
        const { position, unsealed } = await this.#look();
        if (unsealed) {
          this.#lastNews = performance.now();
          await this.#awaken();
        }
        for (const waiter of [...this.#waiters]) {
          if (waiter.of === undefined && (unsealed || position > waiter.after)) waiter.tell();
        }
        if (this.#waiters.size > 0 && (unsealed || position > this.#lowest()))
          await this.#tellConcerned(unsealed ? await this.#seal() : position);
        if (this.#waiters.size > 0) await this.#pause(performance.now() - this.#lastNews);
      }
    } catch {
      // the link meets the same error when it reads, and reports it
      await this.#awaken();
      await delay(ASLEEP_MS, undefined, { ref: false });
      this.#tellAll();
    } finally {
      this.#running = false;
    }
  }

  #lowest(): Position {
    let lowest: Position | undefined;
    for (const { after } of this.#waiters) if (lowest === undefined || after < lowest) lowest = after;
    return lowest ?? (0n as Position);
  }

  /** Of those who wait for some tables, or rows, only. */
  async #tellConcerned(upTo: Position): Promise<void> {
    const behind = [...this.#waiters].filter((waiter): waiter is Waiter & Waiting => waiter.of !== undefined && waiter.after < upTo);
    const told = await concerned(behind, upTo, this.#touched);
    for (const waiter of behind) {
      if (told.has(waiter)) waiter.tell();
      else waiter.after = upTo;
    }
  }

  async #pause(idleMs: number): Promise<void> {
    if (idleMs < BUSY_FOR_MS) await this.#rest(BUSY_MS);
    else if (idleMs < QUIET_FOR_MS) await this.#rest(QUIET_MS);
    else if (this.#sleeper === undefined) await this.#fallAsleep();
    else await this.#rest(ASLEEP_MS);
  }

  /** Until it is woken. */
  async #rest(ms: number): Promise<void> {
    if (this.#poked) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** From here on, capture notifies. The loop looks once more before it waits. */
  async #fallAsleep(): Promise<void> {
    const client = await this.#pool.connect();
    client.on("notification", this.#rouse);
    client.on("error", this.#rouse);
    this.#sleeper = client;
    await client.query("listen tombolo");
    await client.query("select setval('tombolo.log_listening', 1)");
  }

  async #awaken(): Promise<void> {
    const client = this.#sleeper;
    if (client === undefined) return;
    this.#sleeper = undefined;
    try {
      await client.query("select setval('tombolo.log_listening', 0); unlisten tombolo");
      client.off("notification", this.#rouse);
      client.off("error", this.#rouse);
      client.release();
    } catch (error) {
      client.release(error as Error);
    }
  }
}
