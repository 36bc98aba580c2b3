import type { Lsn } from "./lsn.ts";

/**
 * Whether the change log holds what was committed. Where triggers capture it always does; where a slot does it lags behind, and
 * whoever draws a conclusion from the log waits here first.
 */
export interface LogGate {
  /** Whether the log may lag behind at all. */
  readonly lags: boolean;
  /**
   * Resolves when the log holds everything that was committed before the call. Throws what keeps it from that, or `SLOT_BEHIND`
   * (retry) when it takes too long. Whoever waits may hold locks on rows and tables of applications, but none on the log.
   */
  complete(): Promise<void>;
}

/** A gate that knows how far along the write-ahead log it is. */
export interface PlacedGate extends LogGate {
  /** Commits have come that are not in the log yet. */
  readonly behind: boolean;
  /**
   * Resolves when the log holds every commit whose record ends at or before this place. Where writers are at work, that is as soon as the next commit comes
   * out of the stream, and nothing has to be written for it. Throws what `complete` throws.
   */
  passed(at: Lsn): Promise<void>;
}

/** Triggers: committed is logged. */
export const ALWAYS_COMPLETE: PlacedGate = { lags: false, behind: false, complete: async () => undefined, passed: async () => undefined };
