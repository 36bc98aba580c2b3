import { usableOffset } from "../change/clock.ts";
import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { judge } from "../conflict/judge.ts";
import type { NodeIdentity } from "../node/identity.ts";
import type { Node } from "../node/node.ts";
import type { ApplyContext } from "../node/target.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { type Backoff, createBackoff } from "./backoff.ts";
import { type Flow, flows } from "./flow.ts";
import type { Link, LinkCounts, LinkObserver } from "./link.ts";
import { sleep } from "./sleep.ts";
import { Transfer } from "./transfer.ts";

export interface LinkOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly observer: LinkObserver;
  /** Milliseconds since 1970; for tests. */
  readonly now?: () => number;
}

/** How long a link without news waits before it looks around all the same (pauses, parked changes, another process). */
const IDLE_ROUND_MS = 3_000;
/** Clocks are measured again, and a node's identity is checked, this often. */
const IDENTITY_MS = 30_000;
/** Another process on the same link shows as one of these; reading the state anew settles it, unless it is really so. */
const SETTLED_BY_READING_ANEW = new Set(["PACKET_GAP", "PACKET_FORK", "POSITION_AHEAD", "PEER_UNKNOWN"]);
const ANEW_ATTEMPTS = 3;
const LARGEST_SYNC_ROUNDS = 10_000;

export function createLink(options: LinkOptions): Link {
  return new DirectLink(options);
}

class DirectLink implements Link {
  readonly parent: NodeName;
  readonly child: NodeName;
  readonly #options: LinkOptions;
  readonly #now: () => number;
  readonly #up: Transfer;
  readonly #down: Transfer;
  readonly #flows: { up: Flow; down: Flow };
  readonly #backoff: Backoff;
  #met = false;
  #identities: { parent: NodeIdentity; child: NodeIdentity; readAt: number } | undefined;

  constructor(options: LinkOptions) {
    const { parent, child, topology } = options;
    this.parent = parent.name;
    this.child = child.name;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#flows = flows(options);
    const shared = {
      parent: parent.name,
      child: child.name,
      bounds: { maxRows: topology.batch.maxRows, maxBytes: topology.batch.maxBytes },
      codec: topology.batch.compression,
      observer: options.observer,
      now: this.#now,
    };
    this.#up = new Transfer({ ...shared, flow: this.#flows.up });
    this.#down = new Transfer({ ...shared, flow: this.#flows.down });
    this.#backoff = createBackoff(topology.retry);
  }

  async sync(signal: AbortSignal): Promise<LinkCounts> {
    const total = { sent: 0, received: 0, conflicts: 0, parked: 0 };
    for (let round = 0; round < LARGEST_SYNC_ROUNDS; round++) {
      signal.throwIfAborted();
      const { sent, received, conflicts, parked } = await this.#round({ final: true });
      total.sent += sent;
      total.received += received;
      total.conflicts += conflicts;
      total.parked += parked;
      if (sent + received + parked === 0) break;
    }
    return total;
  }

  async run(signal: AbortSignal): Promise<void> {
    let attempt = 0;
    while (!signal.aborted) {
      try {
        const moved = await this.#round({ final: false });
        if (attempt > 0) this.#options.observer.recovered({ parent: this.parent, child: this.child });
        attempt = 0;
        this.#backoff.reset();
        if (moved.sent + moved.received + moved.parked === 0) await this.#waitForNews(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#forget();
        attempt += 1;
        const retryInMs = this.#backoff.next();
        this.#options.observer.failed({ parent: this.parent, child: this.child, error, retryInMs, attempt });
        await sleep(retryInMs, signal);
      }
    }
  }

  /** Up, then down: what the child has decided on its own is judged before the parent's news reaches it. */
  async #round(options: { readonly final: boolean }): Promise<LinkCounts> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#meet();
        if ((await this.#up.paused()) || (await this.#down.paused())) return { sent: 0, received: 0, conflicts: 0, parked: 0 };
        const { parent, child } = await this.#identify();
        const ahead = child.clockOffsetMs - parent.clockOffsetMs;
        const up = await this.#up.pass(child.epoch, this.#context(this.#flows.up, ahead, parent), options);
        const down = await this.#down.pass(parent.epoch, this.#context(this.#flows.down, -ahead, child), options);
        return { sent: up.changes, received: down.changes, conflicts: up.conflicts + down.conflicts, parked: up.parked + down.parked };
      } catch (error) {
        if (attempt >= ANEW_ATTEMPTS || !(error instanceof TomboloError) || !SETTLED_BY_READING_ANEW.has(error.code)) throw error;
        this.#forget();
      }
    }
  }

  async #meet(): Promise<void> {
    if (this.#met) return;
    const { parent, child } = this.#options;
    await parent.target.meet([{ name: child.name, role: "child" }]);
    await child.target.meet([{ name: parent.name, role: "parent" }]);
    this.#met = true;
  }

  async #identify(): Promise<{ parent: NodeIdentity; child: NodeIdentity }> {
    if (this.#identities === undefined || this.#now() - this.#identities.readAt > IDENTITY_MS) {
      const [parent, child] = await Promise.all([
        this.#options.parent.installation.identity(),
        this.#options.child.installation.identity(),
      ]);
      this.#identities = { parent, child, readAt: this.#now() };
    }
    return this.#identities;
  }

  #context(flow: Flow, sourceAheadMs: number, target: NodeIdentity): ApplyContext {
    return {
      from: flow.from,
      rules: flow.rules,
      judge,
      clockOffsetMs: usableOffset(sourceAheadMs),
      nowMs: this.#now() + target.clockOffsetMs,
    };
  }

  async #waitForNews(signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    const stop = (): void => waiting.abort();
    signal.addEventListener("abort", stop, { once: true });
    try {
      await Promise.race([
        this.#options.child.log.news(this.#up.position, waiting.signal),
        this.#options.parent.log.news(this.#down.position, waiting.signal),
        sleep(IDLE_ROUND_MS, waiting.signal),
      ]);
    } finally {
      signal.removeEventListener("abort", stop);
      waiting.abort();
    }
  }

  #forget(): void {
    this.#up.reset();
    this.#down.reset();
    this.#identities = undefined;
    this.#met = false;
  }
}
