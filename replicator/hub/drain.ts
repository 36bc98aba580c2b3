import { TomboloError } from "../change/error.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import type { HubServer } from "./context.ts";

/** Requests that are still running then are cut off. */
const PATIENCE_MS = 20_000;

/**
 * Ends a service without losing an answer: what waits for news answers at once, requests in hand are finished, new ones are refused with
 * 503 as long as the address is still held, then it is given up.
 */
export class Drain {
  readonly #closing = new AbortController();
  readonly #idle = new AbortController();
  #running = 0;

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  watch(server: HubServer): void {
    server.addHook("onRequest", async (_, reply) => {
      if (this.#closing.signal.aborted) {
        void reply.header("connection", "close");
        throw new TomboloError("the service is being stopped", { code: "HUB_DRAINING", kind: "retry", hint: "Try again." });
      }
      this.#running += 1;
      // comes for every request, answered or cut off
      reply.raw.once("close", () => this.#ended());
    });
  }

  async close(server: HubServer): Promise<void> {
    this.#closing.abort();
    if (this.#running > 0) await systemTimers.sleep(PATIENCE_MS, this.#idle.signal);
    const closed = server.close();
    server.server.closeAllConnections();
    await closed;
  }

  #ended(): void {
    this.#running -= 1;
    if (this.#running === 0 && this.#closing.signal.aborted) this.#idle.abort();
  }
}
