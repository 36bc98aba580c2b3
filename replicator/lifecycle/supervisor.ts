import { keepRunning, type Service, type SupervisionOptions } from "./service.ts";

interface Running {
  readonly fingerprint: string;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** A service that should be there, and what its behaviour depends on: another fingerprint means another service. */
export interface WantedService {
  readonly fingerprint: string;
  readonly service: Service;
}

/** Keeps a set of services running, each on its own: one that fails does not touch the others. */
export class Supervisor {
  readonly #options: SupervisionOptions;
  readonly #onFatal: (error: unknown) => void;
  readonly #running = new Map<string, Running>();

  /** @param onFatal gets what must end the process; the supervisor does not stop the others by itself. */
  constructor(options: SupervisionOptions, onFatal: (error: unknown) => void) {
    this.#options = options;
    this.#onFatal = onFatal;
  }

  get names(): readonly string[] {
    return [...this.#running.keys()];
  }

  /**
   * Stops what is not wanted any more or has changed (finishing what it has in hand), then calls `between`, then starts what is
   * missing. The others go on undisturbed. Not to be called concurrently.
   */
  async change(wanted: readonly WantedService[], between: () => Promise<void> = async () => {}): Promise<void> {
    const fingerprints = new Map(wanted.map(({ service, fingerprint }) => [service.name, fingerprint]));
    const leaving = [...this.#running].filter(([name, { fingerprint }]) => fingerprints.get(name) !== fingerprint);
    await this.#stop(leaving.map(([name]) => name));
    await between();
    for (const { service, fingerprint } of wanted) if (!this.#running.has(service.name)) this.#start(service, fingerprint);
  }

  /** Resolves when every service has finished what it had in hand. */
  async stopAll(): Promise<void> {
    await this.#stop(this.names);
  }

  #start(service: Service, fingerprint: string): void {
    const abort = new AbortController();
    const done = keepRunning(service, abort.signal, this.#options).catch(this.#onFatal);
    this.#running.set(service.name, { fingerprint, abort, done });
  }

  async #stop(names: readonly string[]): Promise<void> {
    const stopping = names.map((name) => this.#running.get(name));
    for (const running of stopping) running?.abort.abort();
    await Promise.all(stopping.map((running) => running?.done));
    for (const name of names) this.#running.delete(name);
  }
}
