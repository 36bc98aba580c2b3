import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { OVER } from "../link/sleep.ts";
import type { NodeStatus } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import { describeError } from "../observability/describe-error.ts";
import type { LagBook } from "../observability/lag.ts";
import type { Logger } from "../observability/log.ts";
import { type Metrics, setNodeStatus } from "../observability/metrics.ts";
import { pollNode } from "../observability/node-poll.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

const EVERY_MS = 5_000;
/** A database that does not answer for this long is down, whatever its socket says. */
const ANSWER_WITHIN_MS = 15_000;

export interface NodeWatchOptions {
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly log: Logger;
  readonly timers: Timers;
  readonly names: () => readonly NodeName[];
  /** Whether this process counts what is captured in the node: one that runs beside others looks at nodes that another counts. */
  readonly isOurs: (name: NodeName) => boolean;
  readonly groupsOf: (children: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  /** The node if it is open. */
  readonly node: (name: NodeName) => Node | null;
}

/** Looks at every open node every few seconds, each on its own, and keeps the gauges that speak of nodes. */
export class NodeWatch implements Service {
  readonly name = "node-watch";
  readonly #options: NodeWatchOptions;
  readonly #looking = new Set<NodeName>();
  readonly #last = new Map<NodeName, NodeStatus>();
  /** Of the children of each node, as it keeps them. */
  readonly #children = new Map<NodeName, ReadonlyMap<string, string>>();
  readonly #failures = new Map<NodeName, unknown>();
  #stopping: AbortSignal | null = null;

  constructor(options: NodeWatchOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#stopping = signal;
    while (!signal.aborted) {
      for (const name of this.#options.names()) this.look(name);
      await this.#options.timers.sleep(EVERY_MS, signal);
    }
  }

  /** Looks at one node now, unless it is being looked at. Never throws; the result is in the gauges. */
  look(name: NodeName): void {
    const node = this.#options.node(name);
    if (node === null || this.#looking.has(name)) return;
    this.#looking.add(name);
    this.#poll(node).then(
      () => this.#looking.delete(name),
      (error: unknown) => {
        this.#looking.delete(name);
        this.#failed(name, error);
      },
    );
  }

  /** The node could not be opened. */
  absent(name: NodeName): void {
    setNodeStatus(this.#options.metrics, name, "down");
  }

  isDown(name: NodeName): boolean {
    return this.#failures.has(name);
  }

  failure(name: NodeName): unknown {
    return this.#failures.get(name);
  }

  async #poll(node: Node): Promise<void> {
    const { metrics, lag, timers, log, groupsOf } = this.#options;
    const patience = new AbortController();
    const tooLong = timers.sleep(ANSWER_WITHIN_MS, patience.signal).then(() => {
      if (!patience.signal.aborted) throw new TomboloError(`${node.name} does not answer`, { code: "NODE_SILENT", kind: "connect" });
    });
    try {
      const looked = pollNode(node, {
        ...{ metrics, lag, now: timers.now, counts: this.#options.isOurs(node.name) },
        stateAtParent: (name) => this.#stateAtParent(name),
        groupsOf,
      });
      const status = await Promise.race([looked, tooLong]);
      if (status !== undefined) this.#keep(node.name, status);
      if (this.#failures.delete(node.name)) log.info({ node: node.name }, "node answers again");
    } finally {
      patience.abort(OVER);
    }
  }

  #keep(name: NodeName, status: NodeStatus): void {
    if (this.#last.get(name) === status) return;
    this.#last.set(name, status);
    const children = status.peers.filter(({ role }) => role === "child");
    if (children.length === 0) this.#children.delete(name);
    else this.#children.set(name, new Map(children.map((peer) => [peer.name, peer.state])));
  }

  #failed(name: NodeName, error: unknown): void {
    // nodes are being closed under our feet, as they should be
    if (this.#stopping?.aborted) return;
    const { metrics, log } = this.#options;
    const { code } = describeError(error);
    setNodeStatus(metrics, name, "down");
    metrics.errors.inc({ component: "node", code });
    if (!this.#failures.has(name)) log.warn({ node: name, err: error }, "node does not answer");
    this.#failures.set(name, error);
  }

  #stateAtParent(name: string): string | null {
    for (const children of this.#children.values()) {
      const state = children.get(name);
      if (state !== undefined) return state;
    }
    return null;
  }
}
