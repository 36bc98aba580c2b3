import type { Clash } from "../change/verdict.ts";
import { type ModuleAnswer, type ModuleFailure, readAnswer, undecided } from "./module/module-answer.ts";
import { moduleConflict } from "./module/module-conflict.ts";
import { ModuleWorker } from "./module/module-worker.ts";
import type { Thrown } from "./module/worker-source.ts";

export type { ModuleAnswer } from "./module/module-answer.ts";

/**
 * Asks users' ES modules to decide conflicts. `decide` is synchronous, because conflicts are decided inside of a transaction; it never
 * throws, and takes no longer than the time limit (and, for the first question, the loading of the module).
 */
export interface ModuleRunner {
  decide(clash: Clash): ModuleAnswer;
  /** Ends the modules' threads. */
  close(): Promise<void>;
}

export interface ModuleRunnerOptions {
  readonly timeLimitMs?: number;
  /** Milliseconds, never going back. */
  readonly clock?: () => number;
}

/** So many threads lost in a row, and the module is left alone for a while: one that hangs must not slow every link down for ever. */
const MAX_LOST = 3;
const PAUSE_MS = 60_000;

/** One thread per module, started at the first conflict that it is asked about. */
export function createModuleRunner({ timeLimitMs = 1_000, clock = () => performance.now() }: ModuleRunnerOptions = {}): ModuleRunner {
  const modules = new Map<string, AskedModule>();
  return {
    decide(clash) {
      if (clash.module === null) return undecided("MODULE_LOAD", "The table has no module.");
      const module = modules.get(clash.module) ?? new AskedModule(clash.module, { timeLimitMs, clock });
      modules.set(clash.module, module);
      return module.decide(clash);
    },
    async close() {
      await Promise.all([...modules.values()].map((module) => module.close()));
      modules.clear();
    },
  };
}

class AskedModule {
  readonly #path: string;
  readonly #options: Required<ModuleRunnerOptions>;
  readonly #stopping = new Set<Promise<void>>();
  #worker: ModuleWorker | null = null;
  #lost = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(path: string, options: Required<ModuleRunnerOptions>) {
    this.#path = path;
    this.#options = options;
  }

  decide(clash: Clash): ModuleAnswer {
    const { clock, timeLimitMs } = this.#options;
    if (clock() < this.#pausedUntil) return undecided("MODULE_PAUSED", "The module was lost several times and is left alone for a minute.");
    if (this.#worker?.gone) this.#stop();
    if (this.#worker === null) {
      this.#worker = new ModuleWorker(this.#path);
      const problem = this.#worker.start();
      if (problem === "timeout") return this.#giveUp("MODULE_TIMEOUT", "The module took too long to load.");
      if (problem === "gone") return this.#giveUp("MODULE_LOAD", "The module ended its thread while it was loaded.");
      if (problem !== null) return this.#giveUp("MODULE_LOAD", `The module could not be loaded: ${describe(problem)}.`);
    }
    const outcome = this.#worker.ask(moduleConflict(clash), timeLimitMs);
    if (outcome === "timeout") return this.#giveUp("MODULE_TIMEOUT", `The module did not answer within ${timeLimitMs} ms.`);
    if (outcome === "gone") return this.#giveUp("MODULE_FAILED", "The module ended its thread without an answer.");
    this.#lost = 0;
    if ("answer" in outcome) return readAnswer(outcome.answer, clash);
    if (outcome.thrown.name === "DataCloneError") return undecided("MODULE_ANSWER", "The module's answer is no plain data.");
    return undecided("MODULE_FAILED", `The module threw ${describe(outcome.thrown)}.`);
  }

  async close(): Promise<void> {
    this.#stop();
    await Promise.all(this.#stopping);
  }

  #giveUp(code: ModuleFailure, sentence: string): ModuleAnswer {
    this.#stop();
    this.#lost++;
    if (this.#lost >= MAX_LOST) {
      this.#lost = 0;
      this.#pausedUntil = this.#options.clock() + PAUSE_MS;
    }
    return undecided(code, sentence);
  }

  #stop(): void {
    if (this.#worker === null) return;
    const stopping: Promise<void> = this.#worker.stop().finally(() => this.#stopping.delete(stopping));
    this.#stopping.add(stopping);
    this.#worker = null;
  }
}

const describe = ({ name, place, message }: Thrown): string =>
  [name, place === null ? "" : ` at ${place}`, message === null ? "" : ` (${message})`].join("");
