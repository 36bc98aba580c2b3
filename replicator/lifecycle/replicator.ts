import type { NodeName } from "../change/names.ts";
import type { LinkObserver } from "../link/link.ts";
import type { Node } from "../node/node.ts";
import { describeError } from "../observability/describe-error.ts";
import type { LagBook } from "../observability/lag.ts";
import type { Logger } from "../observability/log.ts";
import { declareLabels, directions, type Metrics } from "../observability/metrics.ts";
import { collectStatus, type Reached, type StatusReport } from "../observability/status-report.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { acquireLease, type LeaseHold, type LeaseStore } from "./lease.ts";
import { NodePool } from "./node-pool.ts";
import { NodeWatch } from "./node-watch.ts";
import type { Parts } from "./parts.ts";
import { openExamined, preflight } from "./preflight.ts";
import type { Service, ServiceFailure } from "./service.ts";
import { Supervisor, type WantedService } from "./supervisor.ts";
import { aborted, type Timers } from "./timers.ts";
import { hubOf, linkName, nodeOf } from "./tree.ts";

export interface ReplicatorOptions {
  readonly topology: Topology;
  readonly parts: Parts;
  readonly observer: LinkObserver;
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly log: Logger;
  readonly timers: Timers;
  /** Called with the lease in hand, before the links start; what it throws ends `run`. */
  readonly onLeading: () => Promise<void>;
}

/**
 * The long-running replicator: takes the lease of the topology, then runs one service per link and one that watches the nodes, until
 * it is told to stop. What it knows is in the databases; it may die at any line.
 */
export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #pool: NodePool;
  readonly #supervisor: Supervisor;
  readonly #watch: NodeWatch;
  readonly #stop = new AbortController();
  #fatal: { readonly error: unknown } | null = null;
  #topology: Topology;
  #leading = false;
  #waitingFor: string | null = null;
  #changing: Promise<void> = Promise.resolve();

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#topology = options.topology;
    const { log, timers, parts } = options;
    this.#pool = new NodePool({
      open: (config) => openExamined({ parts, config, topology: this.#topology, log }),
      onOpened: (node) => this.#opened(node),
    });
    this.#watch = new NodeWatch({
      ...options,
      node: (name) => this.#pool.current(name),
      names: () => this.#topology.nodes.map(({ name }) => name),
    });
    this.#supervisor = new Supervisor(
      { retry: () => this.#topology.retry, timers, onFailure: (failure) => this.#failed(failure) },
      (error) => {
        this.#fatal ??= { error };
        this.#stop.abort();
      },
    );
    this.#declare();
    log.debug({ topology: this.#topology.name }, "replicator made");
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** Whether this process holds the lease. */
  get leading(): boolean {
    return this.#leading;
  }

  /** Returns when the signal has aborted and every link has finished the batch in hand. Throws what must end the process (fatal, newer). */
  async run(signal: AbortSignal): Promise<void> {
    const stop = this.#stop.signal;
    if (signal.aborted) return;
    signal.addEventListener("abort", () => this.#stop.abort(), { once: true });
    const store = this.#options.parts.leaseStore(hubOf(this.#topology), this.#topology.name);
    try {
      while (!stop.aborted) await this.#lead(store, stop);
    } finally {
      await this.#pool.closeAll();
    }
    if (this.#fatal !== null) throw this.#fatal.error;
  }

  /** Goes over to another topology with the same name and hub: only links and nodes that changed are stopped and started. */
  async reload(topology: Topology): Promise<void> {
    this.#topology = topology;
    this.#declare();
    if (!this.#leading) return;
    await this.#change();
    for (const { name } of topology.nodes) this.#examine(this.#pool.current(name));
  }

  /** Why this process cannot be relied upon now; empty when it leads and every node is open. */
  notReady(): readonly string[] {
    if (!this.#leading) return [this.#waitingFor === null ? "starting" : `waiting for the lease, which is held by ${this.#waitingFor}`];
    return this.#topology.nodes
      .filter(({ name }) => this.#pool.current(name) === null || this.#watch.isDown(name))
      .map(({ name }) => {
        const failure = this.#watch.failure(name) ?? this.#pool.failure(name);
        return failure === undefined ? `node ${name} is not open yet` : `node ${name}: ${describeError(failure).code}`;
      });
  }

  status(): Promise<StatusReport> {
    const nodes = new Map<NodeName, Reached>();
    for (const { name } of this.#topology.nodes) {
      const node = this.#pool.current(name);
      nodes.set(name, node === null ? { error: this.#pool.failure(name) } : { node });
    }
    return collectStatus(this.#topology, nodes, this.#options.timers.now);
  }

  /** One term: from getting the lease to losing or releasing it. */
  async #lead(store: LeaseStore, stop: AbortSignal): Promise<void> {
    let hold = await this.#acquire(store, stop, false);
    if (hold === null) return;
    const { log, metrics } = this.#options;
    log.info({ topology: this.#topology.name, links: this.#topology.links.length }, "replicating");
    this.#leading = true;
    this.#waitingFor = null;
    metrics.leader.set(1);
    try {
      await this.#options.onLeading();
      await this.#change();
      while (hold !== null && !stop.aborted) {
        await aborted(stop, hold.lost);
        if (stop.aborted) break;
        // While the hub is away nobody can take the lease, so links that do not need the hub go on; whoever gets it first when the hub is back, leads.
        log.warn("the session that holds the lease has ended; trying to take it again");
        await hold.release();
        hold = await this.#acquire(store, stop, true);
      }
    } finally {
      this.#leading = false;
      metrics.leader.set(0);
      await this.#changing.catch(() => {});
      await this.#supervisor.stopAll();
      // whoever leads next knows the lag, this process no longer does
      this.#options.lag.keep([]);
      await hold?.release();
      log.info("links stopped");
    }
  }

  #acquire(store: LeaseStore, stop: AbortSignal, stopWhenHeld: boolean): Promise<LeaseHold | null> {
    const { log, metrics, timers } = this.#options;
    return acquireLease(store, stop, {
      timers,
      stopWhenHeld,
      purpose: "run",
      onWait: ({ holder }) => {
        this.#waitingFor = holder;
        log.warn({ code: "LEASE_HELD", holder }, `another replicator runs this topology: ${holder}; waiting for it to end`);
      },
      onError: (error, attempt) => {
        metrics.errors.inc({ component: "lease", code: describeError(error).code });
        if (attempt === 1 || attempt % 60 === 0) log.warn({ err: error, attempt }, "the lease cannot be asked for; trying on");
      },
    });
  }

  /** Brings services and nodes in line with the topology, one change at a time. */
  #change(): Promise<void> {
    const topology = this.#topology;
    const wanted: WantedService[] = topology.links.map((link) => ({
      service: this.#linkService(link),
      fingerprint: fingerprint(topology, link),
    }));
    wanted.push({ service: this.#watch, fingerprint: "" });
    this.#changing = this.#changing.catch(() => {}).then(() => this.#supervisor.change(wanted, () => this.#pool.keep(topology.nodes)));
    return this.#changing;
  }

  #linkService(link: TopologyLink): Service {
    return {
      name: linkName(link),
      run: async (signal) => {
        const topology = this.#topology;
        const [parent, child] = await Promise.all([
          this.#pool.get(nodeOf(topology, link.parent)),
          this.#pool.get(nodeOf(topology, link.child)),
        ]);
        if (signal.aborted) return;
        await this.#options.parts.createLink({ parent, child, link, topology, observer: this.#options.observer }).run(signal);
      },
    };
  }

  #opened(node: Node): void {
    const { log } = this.#options;
    log.info({ node: node.name, engine: node.engine }, "node opened");
    this.#watch.look(node.name);
  }

  #examine(node: Node | null): void {
    if (node === null) return;
    const { log } = this.#options;
    preflight(node, this.#topology, log).catch((error: unknown) => {
      if (this.#leading) log.warn({ node: node.name, err: error }, "the node could not be examined");
    });
  }

  #failed({ service, error, attempt, retryInMs }: ServiceFailure): void {
    const link = this.#topology.links.find((candidate) => linkName(candidate) === service);
    if (link === undefined) this.#options.log.warn({ service, attempt, err: error }, "service failed");
    else this.#options.observer.failed({ parent: link.parent, child: link.child, error, retryInMs, attempt });
    for (const name of link === undefined ? [] : [link.parent, link.child]) if (this.#pool.current(name) === null) this.#watch.absent(name);
  }

  #declare(): void {
    declareLabels(this.#options.metrics, this.#topology);
    this.#options.lag.keep(directions(this.#topology));
  }
}

/** All that the behaviour of a link depends on: when it changes, the link is started anew. */
function fingerprint(topology: Topology, link: TopologyLink): string {
  const { batch, retry, log, history } = topology;
  const names = new Set(link.channels.map(({ name }) => name));
  const ends = topology.nodes.filter(({ name }) => name === link.parent || name === link.child);
  return JSON.stringify([link, ends, topology.channels.filter(({ name }) => names.has(name)), batch, retry, log, history]);
}
