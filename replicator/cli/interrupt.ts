import { EXIT } from "./exit-codes.ts";

/** What a command that takes a while hears of Ctrl-C. */
export interface Interrupt {
  /** Aborts at the first SIGINT or SIGTERM; the second ends the process at once. */
  readonly signal: AbortSignal;
  /** Stops listening. */
  ignore(): void;
}

export function listenForInterrupt(): Interrupt {
  const interrupt = new AbortController();
  const stop = () => (interrupt.signal.aborted ? process.exit(EXIT.failed) : interrupt.abort());
  process.on("SIGINT", stop).on("SIGTERM", stop);
  return {
    signal: interrupt.signal,
    ignore() {
      process.off("SIGINT", stop).off("SIGTERM", stop);
    },
  };
}
