import { vi } from "vitest";
import type { Chance } from "./chance.ts";

const drained = setImmediate;

/** A replicator, or a service, that may be killed: whatever it was doing then never goes on. */
export class Process {
  readonly name: string;
  alive = true;
  readonly stop = new AbortController();
  #mourners: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** What the databases do when it dies: they roll its transactions back. */
  onDeath(mourn: () => void): void {
    if (this.alive) this.#mourners.push(mourn);
    else mourn();
  }

  die(): void {
    this.alive = false;
    for (const mourn of this.#mourners.splice(0)) mourn();
    // its timers go with it; what this wakes has no turn any more
    this.stop.abort();
  }
}

interface Task {
  readonly process: Process;
  readonly go: () => void;
}

/**
 * Who does what next, and what time it is. Everything that a process asks of a database waits here first, and one of those who wait goes on at a time, chosen by
 * chance: so any order in which the servers could have answered is played, and the same seed plays the same order. Time passes only here.
 */
export class Scheduler {
  readonly #chance: Chance;
  #waiting: Task[] = [];
  steps = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
      now: Date.UTC(2026, 0, 1),
    });
  }

  close(): void {
    vi.useRealTimers();
  }

  /** Until it is the process's turn; for ever, once it was killed. */
  turn(process: Process): Promise<void> {
    if (!process.alive) return new Promise(() => undefined);
    return new Promise((go) => this.#waiting.push({ process, go }));
  }

  kill(process: Process): void {
    this.#waiting = this.#waiting.filter((task) => task.process !== process);
    process.die();
  }

  /** Lets those who wait go on, one after the other, until it is so; `turns` at most, and throws after `limit` where it has to become so. */
  async run(until: () => boolean, options: { readonly turns?: number; readonly limit?: number }): Promise<void> {
    const { turns = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY } = options;
    for (let turn = 0; turn < turns && !until(); turn++) {
      if (turn >= limit) throw new Error(`nothing comes to rest within ${limit} turns`);
      this.steps += 1;
      const at = this.#chance.below(this.#waiting.length);
      const [task] = this.#waiting.splice(at, 1);
      if (task === undefined) {
        if (vi.getTimerCount() === 0) throw new Error("everyone waits for each other");
        vi.advanceTimersToNextTimer();
      } else {
        if (this.#chance.one(3)) vi.advanceTimersByTime(this.#chance.below(4));
        task.go();
      }
      // whatever follows from it without asking a database
      await new Promise<void>((go) => drained(() => go()));
    }
  }
}
