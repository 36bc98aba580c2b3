import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { Retention } from "../node/retention.ts";
import type { Logger } from "../observability/log.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

const EVERY_MS = 60_000;
const LOOK_EVERY_MS = 1_000;

export interface LogKeeperOptions {
  readonly log: Logger;
  readonly timers: Timers;
  /** Asked every time, as a reload may have changed it. */
  readonly retention: () => Retention;
  readonly names: () => readonly NodeName[];
  /** The node if it is open. */
  readonly node: (name: NodeName) => Node | null;
}

/**
 * Sees to it that no node keeps its change log longer, or larger, than the topology says because a child is away: once a minute at every open node. Who is left behind
 * is told, and comes back through a full sync.
 */
export class LogKeeper implements Service {
  readonly name = "log";
  readonly #options: LogKeeperOptions;
  readonly #dueAt = new Map<NodeName, number>();

  constructor(options: LogKeeperOptions) {
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
        const work = this.#retain(open).finally(() => working.delete(work));
        working.add(work);
      }
      await timers.sleep(LOOK_EVERY_MS, signal);
    }
    await Promise.all(working);
  }

  /** Never throws: a node that cannot be asked now has its own trouble, which others tell of. */
  async #retain(node: Node): Promise<void> {
    const { log, retention } = this.#options;
    try {
      for (const { reader, limit } of await node.log.retain(retention())) {
        const hint = `Run \`tombolo full-sync ${reader}\` when it is back.`;
        log.warn({ node: node.name, reader, limit, code: "READER_LEFT_BEHIND", hint }, "a child is further behind than the log is kept");
      }
    } catch (error) {
      log.debug({ node: node.name, err: error }, "the change log could not be held to its limits");
    }
  }
}
