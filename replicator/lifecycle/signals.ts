export interface SignalHandlers {
  /** SIGTERM or SIGINT, the first time: finish what is in hand. */
  readonly onDrain: (signal: string) => void;
  /** The second time: now. */
  readonly onStopNow: (signal: string) => void;
  /** SIGHUP: read the topology file again. */
  readonly onReload: () => void;
}

/** Answers how to stop listening. */
export function listenForSignals(handlers: SignalHandlers): () => void {
  let draining = false;
  const stop = (signal: NodeJS.Signals) => {
    if (draining) return handlers.onStopNow(signal);
    draining = true;
    handlers.onDrain(signal);
  };
  const reload = () => handlers.onReload();
  process.on("SIGTERM", stop).on("SIGINT", stop).on("SIGHUP", reload);
  return () => {
    process.off("SIGTERM", stop).off("SIGINT", stop).off("SIGHUP", reload);
  };
}
