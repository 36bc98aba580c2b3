import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Store } from "../stores/store.ts";
import type { Done, Order } from "./protocol.ts";

const PROCESS = fileURLToPath(new URL("./writer-process.js", import.meta.url));

/** Gives orders to a writer process. */
export class WriterClient {
  readonly #child: ChildProcess;
  #changes = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(store: Store): Promise<WriterClient> {
    const child = fork(PROCESS, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const writer = new WriterClient(child);
    await writer.#ask({ open: store.engine, location: store.location });
    return writer;
  }

  /** Rows changed so far. */
  get changes(): number {
    return this.#changes;
  }

  async do(order: Order): Promise<Done> {
    const done = (await this.#ask(order)) as Done;
    this.#changes += done.changes;
    return done;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const end = once(this.#child, "exit");
    this.#child.disconnect();
    await end;
  }

  async #ask(message: object): Promise<unknown> {
    const watch = new AbortController();
    try {
      const { signal } = watch;
      const answer = once(this.#child, "message", { signal });
      const end = once(this.#child, "exit", { signal }).then(() => Promise.reject(new Error("the writer process ended")));
      this.#child.send(message);
      const [content] = (await Promise.race([answer, end])) as [{ failed?: string }];
      if (content.failed !== undefined) throw new Error(`the writer failed: ${content.failed}`);
      return content;
    } finally {
      watch.abort();
    }
  }
}
