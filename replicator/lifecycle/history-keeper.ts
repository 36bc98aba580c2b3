import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import { NodeChore, type OpenNodes } from "./node-chore.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

const EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;

export interface HistoryKeeperOptions extends OpenNodes {
  readonly log: Logger;
  readonly timers: Timers;
  /** Asked every time, as a reload may have changed it. */
  readonly keepMs: () => number;
}

/** Forgets conflicts that were resolved longer ago than the topology keeps them, once an hour. Nobody else deletes from the history. */
export const historyKeeper = (options: HistoryKeeperOptions): Service =>
  new NodeChore({ ...options, name: "history", everyMs: EVERY_MS, work: (node, signal) => forget(node, options, signal) });

/** A little at a time. */
async function forget(node: Node, { keepMs, log }: HistoryKeeperOptions, signal: AbortSignal): Promise<void> {
  const keptMs = keepMs();
  let forgotten = 0;
  try {
    while (!signal.aborted) {
      const some = await node.conflicts.forget(keptMs);
      if (some === 0) break;
      forgotten += some;
    }
  } catch (error) {
    if (!signal.aborted) log.debug({ node: node.name, err: error }, "the conflict history could not be tidied");
  }
  if (forgotten > 0) log.info({ node: node.name, forgotten, kept_days: keptMs / DAY_MS }, "resolved conflicts forgotten");
}
