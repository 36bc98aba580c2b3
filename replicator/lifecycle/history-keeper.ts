import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import { NodeChore, type OpenNodes } from "./node-chore.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

const EVERY_MS = 3_600_000;

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
async function forget(node: Node, { timers, keepMs, log }: HistoryKeeperOptions, signal: AbortSignal): Promise<void> {
  const before = new Date(Math.max(0, timers.now() - keepMs())).toISOString();
  let forgotten = 0;
  try {
    while (!signal.aborted) {
      const some = await node.conflicts.forget(before);
      if (some === 0) break;
      forgotten += some;
    }
  } catch (error) {
    if (!signal.aborted) log.debug({ node: node.name, err: error }, "the conflict history could not be tidied");
  }
  if (forgotten > 0) log.info({ node: node.name, forgotten, before }, "resolved conflicts forgotten");
}
