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

/** Triggers: committed is logged. */
export const ALWAYS_COMPLETE: LogGate = { lags: false, complete: async () => undefined };
