import { pathToFileURL } from "node:url";
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { ModuleConflict } from "./module-conflict.ts";
import { type Report, SIGNAL, type Thrown, WORKER_SOURCE } from "./worker-source.ts";

/** There will be no report: the time is up, or the thread has ended. */
export type Lost = "timeout" | "gone";

/** A module that loads its dependencies may take its time once. */
const START_LIMIT_MS = 5_000;
const MEMORY_MB = 128;

/**
 * A user's module in a thread of its own, asked synchronously: the caller's thread sleeps until the answer is there or the time is up.
 * After an outcome without a report, and after a start that failed, it is of no more use: stop it and start another.
 */
export class ModuleWorker {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));

  constructor(path: string) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(WORKER_SOURCE, {
      eval: true,
      // the flags of the replicator are none of the module's
      execArgv: [],
      workerData: { url: pathToFileURL(path).href, port: port2, signal: this.#signal },
      transferList: [port2],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB, maxYoungGenerationSizeMb: MEMORY_MB / 4 },
    });
    // the next question finds out; without a listener the error would end the process
    this.#worker.on("error", () => Atomics.store(this.#signal, 0, SIGNAL.gone));
    this.#worker.unref();
    port1.unref();
  }

  /** Waits for the module to be loaded: what is wrong with it, or null. */
  start(): Thrown | Lost | null {
    const outcome = this.#await(START_LIMIT_MS);
    if (typeof outcome === "string") return outcome;
    if ("thrown" in outcome) return outcome.thrown;
    return outcome.answer === "function" ? null : { name: "it has no default export that is a function", place: null, message: null };
  }

  /** True once the thread has ended by itself, between two questions. */
  get gone(): boolean {
    return Atomics.load(this.#signal, 0) === SIGNAL.gone;
  }

  ask(conflict: ModuleConflict, limitMs: number): Report | Lost {
    // not where the thread has just ended: nobody would wake us
    Atomics.compareExchange(this.#signal, 0, SIGNAL.answered, SIGNAL.waiting);
    this.#port.postMessage(conflict);
    return this.#await(limitMs);
  }

  async stop(): Promise<void> {
    this.#port.close();
    await this.#worker.terminate();
  }

  #await(limitMs: number): Report | Lost {
    const woken = Atomics.wait(this.#signal, 0, SIGNAL.waiting, limitMs);
    const received = receiveMessageOnPort(this.#port) as { readonly message: Report } | undefined;
    if (received !== undefined) return received.message;
    return woken === "timed-out" ? "timeout" : "gone";
  }
}
