import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

const EVERY_MS = 3_600_000;
/** Nodes come and go; how often it is looked which of them are due. Nothing is asked of those that are not. */
const LOOK_EVERY_MS = 1_000;

export interface HistoryKeeperOptions {
  readonly log: Logger;
  readonly timers: Timers;
  /** Asked every time, as a reload may have changed it. */
  readonly keepMs: () => number;
  readonly names: () => readonly NodeName[];
  /** The node if it is open. */
  readonly node: (name: NodeName) => Node | null;
}

/**
 * Forgets conflicts that were resolved longer ago than the topology keeps them: at every open node once an hour, beginning when it is
 * first seen, a little at a time. Nobody else deletes from the history. A node that cannot be asked now has its turn an hour later: it has its
 * own trouble, which others tell of.
 */
export class HistoryKeeper implements Service {
  readonly name = "history";
  readonly #options: HistoryKeeperOptions;
  readonly #dueAt = new Map<NodeName, number>();

  constructor(options: HistoryKeeperOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { timers, names, node } = this.#options;
    const working = new Set<Promise<void>>();
    while (!signal.aborted) {
      for (const name of names()) {
        const open = node(name);
        if (open === null || timers.now() < (this.#dueAt.get(name) ?? 0)) continue;
        this.#dueAt.set(name, timers.now() + EVERY_MS);
        // each on its own: one that does not answer keeps no other waiting
        const work = this.#forget(open, signal).finally(() => working.delete(work));
        working.add(work);
      }
      await timers.sleep(LOOK_EVERY_MS, signal);
    }
    await Promise.all(working);
  }

  /** Never throws. */
  async #forget(node: Node, signal: AbortSignal): Promise<void> {
    const { timers, keepMs, log } = this.#options;
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
}
