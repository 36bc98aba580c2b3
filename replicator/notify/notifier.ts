import { elapsedMs } from "../change/elapsed.ts";
import type { NodeName } from "../change/names.ts";
import type { Service } from "../lifecycle/service.ts";
import type { Timers } from "../lifecycle/timers.ts";
import { hubOf } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Topology, TopologyNotifications } from "../topology/topology.ts";
import { Delivery } from "./delivery.ts";
import { targetSender } from "./target-sender.ts";
import { NEWS_MS, NotificationWatch } from "./watch.ts";

const EVERY_MS = 5_000;
const FORGET_EVERY_MS = 3_600_000;
/** What was settled is remembered for longer than it could be found again. */
const REMEMBER_MS = 2 * NEWS_MS;

export interface NotifierOptions {
  readonly topology: Topology;
  readonly notifications: TopologyNotifications;
  readonly node: (name: NodeName) => Promise<Node>;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly timers: Timers;
}

/** Finds what targets want to know, and tells them. One process at a time: that which leads. */
export class Notifier implements Service {
  readonly name = "notifications";
  readonly #options: NotifierOptions;
  #forgotAt = Number.NEGATIVE_INFINITY;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Throws what the hub's database throws; the others are looked at when they are there again. */
  async run(signal: AbortSignal): Promise<void> {
    const { topology, notifications, node, timers } = this.#options;
    const { notifications: desk } = await node(hubOf(topology).name);
    const watch = new NotificationWatch({ topology, notifications, desk, now: timers.now });
    const deliveries = await Promise.all(
      notifications.targets.map(
        async (target) =>
          new Delivery({ ...this.#options, target, desk, sender: await targetSender(target), keepMs: notifications.keepMs }),
      ),
    );
    await watch.begin();
    while (!signal.aborted) {
      await Promise.all(topology.nodes.map(({ name }) => this.#look(watch, name)));
      const waiting = await desk.waiting();
      // all end before one that failed is told of: no two of them ever send at once
      const ended = await Promise.allSettled(deliveries.map((delivery) => delivery.deliver(waiting, signal)));
      for (const each of ended) if (each.status === "rejected") throw each.reason;
      if (elapsedMs(this.#forgotAt, timers.now()) >= FORGET_EVERY_MS) {
        await desk.forget(timers.now() - REMEMBER_MS);
        this.#forgotAt = timers.now();
      }
      await timers.sleep(EVERY_MS, signal);
    }
  }

  /** A node that is away has its trouble told elsewhere, and its records keep what happened. */
  async #look(watch: NotificationWatch, name: NodeName): Promise<void> {
    try {
      await watch.look(await this.#options.node(name));
    } catch (error) {
      this.#options.log.debug({ node: name, err: error }, "the node cannot be looked at for notifications");
    }
  }
}
