import { setTimeout as sleep } from "node:timers/promises";
import { TomboloError } from "../change/error.ts";
import { createBackoff } from "../link/backoff.ts";

/** An application that holds its locks for longer is for a person to see. */
const PATIENCE_MS = 30_000;

/** Does again what somebody's lock was in the way of; each time a transaction of its own. Throws what stays in the way, and whatever else is thrown at once. */
export async function persistently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const backoff = createBackoff({ initialMs: 100, factor: 2, maxMs: 2_000, jitter: true });
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TomboloError) || error.kind !== "retry" || performance.now() > deadline) throw error;
    }
    await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
  }
}
