import { type Environment, type Started, start, until } from "../../helpers/command.ts";

/** The processes that replicate, and serve the hub: one, or for a while two. */
export class Replicators {
  readonly #topology: string;
  readonly #env: Environment;
  readonly #alive: Started[] = [];
  readonly #all: Started[] = [];

  constructor(topology: string, env: Environment) {
    this.#topology = topology;
    this.#env = env;
  }

  start(): void {
    const one = start(["-c", this.#topology, "run", "--log-format", "json"], this.#env);
    this.#alive.push(one);
    this.#all.push(one);
  }

  get count(): number {
    return this.#alive.length;
  }

  /** The oldest `count`, or all. */
  async kill(count = this.#alive.length): Promise<void> {
    for (const each of this.#alive.splice(0, count)) await each.stop("SIGKILL");
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    for (const { process } of this.#alive) process.kill(name);
  }

  /** They read the topology again, and look at the tables. */
  async reload(): Promise<void> {
    for (const each of this.#alive) {
      // a signal ends a process that does not listen for it yet
      await until("the replicator listens", () => /"msg":"replicating"|LEASE_HELD/.test(each.stderr()));
      each.process.kill("SIGHUP");
    }
  }

  /** Ended although nobody killed it. */
  get hasDied(): boolean {
    return this.#alive.some(({ process }) => process.exitCode !== null || process.signalCode !== null);
  }

  /** What all have logged. */
  log(): string {
    return this.#all.map((each) => each.stderr()).join("");
  }
}
