import { type ErrorKind, TomboloError } from "../change/error.ts";
import type { Topology } from "../topology/topology.ts";
import type { Timers } from "./timers.ts";

/** Something that runs until it is told to stop. */
export interface Service {
  readonly name: string;
  /** Runs until the signal aborts, finishing what it has in hand. What it throws is reported, and it is run again after a pause. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ServiceFailure {
  readonly service: string;
  readonly error: unknown;
  readonly attempt: number;
  readonly retryInMs: number;
}

export interface SupervisionOptions {
  /** Asked at every failure, as a reload may have changed it. */
  readonly retry: () => Topology["retry"];
  readonly timers: Timers;
  readonly onFailure: (failure: ServiceFailure) => void;
}

/** Errors that end the process instead of being retried: a broken invariant, a database that a newer version has taken over. */
const ENDS_PROCESS: ReadonlySet<ErrorKind> = new Set(["fatal", "newer"]);

/**
 * Runs a service again and again, with pauses that grow while it fails at once, until the signal aborts. Throws only what must end
 * the process. A person's help is waited for at the longest pause, so that the service goes on by itself once the cause is gone.
 */
export async function keepRunning(service: Service, signal: AbortSignal, options: SupervisionOptions): Promise<void> {
  const { timers } = options;
  for (let attempt = 1; !signal.aborted; attempt++) {
    const startedAt = timers.now();
    try {
      await service.run(signal);
      if (signal.aborted) return;
      throw new TomboloError(`${service.name} ended by itself`, { code: "SERVICE_ENDED", kind: "retry" });
    } catch (error) {
      if (error instanceof TomboloError && ENDS_PROCESS.has(error.kind)) throw error;
      if (signal.aborted) return;
      const retry = options.retry();
      // it ran for longer than the longest pause: this is a new trouble
      if (timers.now() - startedAt > retry.maxMs) attempt = 1;
      const retryInMs = needsPerson(error) ? retry.maxMs : backoff(attempt, retry, timers);
      options.onFailure({ service: service.name, error, attempt, retryInMs });
      await timers.sleep(retryInMs, signal);
    }
  }
}

function needsPerson(error: unknown): boolean {
  return error instanceof TomboloError && (error.kind === "operator" || error.kind === "usage");
}

/** The pause before attempt `attempt + 1`, ms: exponential, capped; with jitter between half and all of it, so that many links do not come back at once. */
export function backoff(attempt: number, retry: Topology["retry"], timers: Pick<Timers, "random">): number {
  const full = Math.min(retry.maxMs, retry.initialMs * retry.factor ** (attempt - 1));
  return retry.jitter ? full * (0.5 + timers.random() / 2) : full;
}
