import { elapsedMs } from "../change/elapsed.ts";
import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

/** Nodes come and go; how often it is looked which of them are due. Nothing is asked of those that are not. */
const LOOK_EVERY_MS = 1_000;

/** Nodes of a topology, as they are now: both are asked every time, as a reload may have changed them. */
export interface OpenNodes {
  readonly names: () => readonly NodeName[];
  /** The node if it is open. */
  readonly node: (name: NodeName) => Node | null;
}

export interface NodeChoreOptions extends OpenNodes {
  /** Of the service. */
  readonly name: string;
  readonly everyMs: number;
  readonly timers: Timers;
  /** Never throws: a node that cannot be asked now has its turn the next time; it has its own trouble, which others tell of. */
  readonly work: (node: Node, signal: AbortSignal) => Promise<void>;
}

/** What is done at every open node again and again, beginning when it is first seen; each on its own, so that one that does not answer keeps no other waiting. */
export class NodeChore implements Service {
  readonly name: string;
  readonly #options: NodeChoreOptions;
  readonly #doneAt = new Map<NodeName, number>();

  constructor(options: NodeChoreOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { timers, names, node, everyMs, work } = this.#options;
    const working = new Set<Promise<void>>();
    while (!signal.aborted) {
      for (const name of names()) {
        const open = node(name);
        if (open === null || elapsedMs(this.#doneAt.get(name) ?? Number.NEGATIVE_INFINITY, timers.now()) < everyMs) continue;
        this.#doneAt.set(name, timers.now());
        const one = work(open, signal).finally(() => working.delete(one));
        working.add(one);
      }
      await timers.sleep(LOOK_EVERY_MS, signal);
    }
    await Promise.all(working);
  }
}
