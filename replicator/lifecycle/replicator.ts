import type { NodeName } from "../change/names.ts";
import type { LinkObserver } from "../link/link.ts";
import type { Node } from "../node/node.ts";
import { describeError } from "../observability/describe-error.ts";
import type { LagBook } from "../observability/lag.ts";
import type { Logger } from "../observability/log.ts";
import { declareLabels, directions, type Metrics } from "../observability/metrics.ts";
import { collectStatus, type Reached, type StatusReport } from "../observability/status-report.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { ColumnCarrier } from "./column-carrier.ts";
import { HistoryKeeper } from "./history-keeper.ts";
import { acquireLease, type LeaseHold, type LeaseHolder, type LeaseStore } from "./lease.ts";
import { LogKeeper } from "./log-keeper.ts";
import { NodePool } from "./node-pool.ts";
import { NodeWatch } from "./node-watch.ts";
import type { Parts } from "./parts.ts";
import { openExamined, preflight } from "./preflight.ts";
import { reconcileServices } from "./reconcile-services.ts";
import type { Service, ServiceFailure } from "./service.ts";
import { HOUSEKEEPING, portionsOf, ShareOut } from "./share-out.ts";
import { Supervisor, type WantedService } from "./supervisor.ts";
import { sleepUnless, type Timers } from "./timers.ts";
import { hubOf, linkName, nodeOf } from "./tree.ts";

export interface ReplicatorOptions {
  readonly topology: Topology;
  readonly parts: Parts;
  readonly observer: LinkObserver;
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly log: Logger;
  readonly timers: Timers;
  /** Called when this process begins to lead, before its links start; what it throws ends `run`. */
  readonly onLeading: () => Promise<void>;
}

/** Between two looks at who else runs the topology, and at what they leave. */
const SHARE_MS = 2_000;

/**
 * The long-running replicator: takes the lease of the topology, then its share of the links, and runs one service for each and one that watches the
 * nodes, until it is told to stop. What it knows is in the databases; it may die at any line.
 */
export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #pool: NodePool;
  readonly #supervisor: Supervisor;
  readonly #watch: NodeWatch;
  readonly #history: HistoryKeeper;
  readonly #logs: LogKeeper;
  readonly #columns: ColumnCarrier;
  readonly #stop = new AbortController();
  #fatal: { readonly error: unknown } | null = null;
  #topology: Topology;
  #share: ShareOut | null = null;
  #waitingFor: string | null = null;
  /** What was last told of it. */
  #told = "";
  #leads = false;
  #settling: Promise<void> = Promise.resolve();

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
      names: () => this.#ends(),
      isOurs: (name) => this.#isOurs(name),
    });
    this.#history = new HistoryKeeper({
      ...options,
      node: (name) => this.#pool.current(name),
      names: () => this.#topology.nodes.map(({ name }) => name),
      keepMs: () => this.#topology.history.keepMs,
    });
    this.#logs = new LogKeeper({
      ...options,
      node: (name) => this.#pool.current(name),
      names: () => this.#topology.nodes.map(({ name }) => name),
      retention: () => ({ keepMs: this.#topology.log.keepMs, maxBytes: this.#topology.log.maxSizeBytes }),
    });
    this.#columns = new ColumnCarrier({
      ...options,
      topology: () => this.#topology,
      links: () => this.#links(),
      onError: (error) => options.metrics.errors.inc({ component: "columns", code: describeError(error).code }),
      node: (name) => this.#pool.current(name),
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

  /** Whether this process does what is done once for the whole topology. */
  get leading(): boolean {
    return this.#share?.held.has(HOUSEKEEPING) ?? false;
  }

  /** Returns when the signal has aborted and every link has finished the batch in hand. Throws what must end the process (fatal, newer). */
  async run(signal: AbortSignal): Promise<void> {
    const stop = this.#stop.signal;
    if (signal.aborted) return;
    signal.addEventListener("abort", () => this.#stop.abort(), { once: true });
    const store = await this.#options.parts.leaseStore(hubOf(this.#topology), this.#topology.name);
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
    if (this.#share === null) {
      await this.#pool.keep(topology.nodes);
      return;
    }
    await this.#settle();
    for (const { name } of topology.nodes) this.#examine(this.#pool.current(name));
  }

  /** Why this process cannot be relied upon now; empty when it has its share and every node of that is open. */
  notReady(): readonly string[] {
    // where all children come by themselves, there is only the hub to be open
    const isAlone = this.leading && portionsOf(this.#topology).length === 0;
    const ends = isAlone ? [hubOf(this.#topology).name] : this.#ends();
    if (ends.length === 0) return [this.#waitingFor === null ? "starting" : `waiting for the lease, which is held by ${this.#waitingFor}`];
    return ends
      .filter((name) => this.#pool.current(name) === null || this.#watch.isDown(name))
      .map((name) => {
        const failure = this.#watch.failure(name) ?? this.#pool.failure(name);
        return failure === undefined ? `node ${name} is not open yet` : `node ${name}: ${describeError(failure).code}`;
      });
  }

  /** The node, opened unless it is. Throws `NODE_UNKNOWN` (usage), and what opening it throws. Whoever asks does not close it. */
  async node(name: string): Promise<Node> {
    return this.#pool.get(nodeOf(this.#topology, name));
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
    const { log, lag, metrics, timers } = this.#options;
    this.#share = new ShareOut(hold.shares);
    try {
      while (hold !== null && !stop.aborted) {
        await this.#settle();
        await sleepUnless(timers, SHARE_MS, [stop, hold.lost]);
        if (stop.aborted || !hold.lost.aborted) continue;
        // While the hub is away nobody can take the lease, so links that do not need the hub go on; whoever gets them first when the hub is back, has them.
        log.warn("the session that holds the lease has ended; trying to take it again");
        await hold.release();
        hold = await this.#acquire(store, stop, true);
        if (hold !== null) await this.#renew(hold);
      }
    } finally {
      await this.#settling.catch(() => {});
      await this.#supervisor.stopAll();
      this.#share = null;
      this.#told = "";
      this.#leadFromNowOn(false);
      // whoever leads next knows the lag, this process no longer does
      lag.keep([]);
      metrics.linksReplicated.set(0);
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
      onWait: (holder) => this.#waits(holder),
      onError: (error, attempt) => {
        metrics.errors.inc({ component: "lease", code: describeError(error).code });
        if (attempt === 1 || attempt % 60 === 0) log.warn({ err: error, attempt }, "the lease cannot be asked for; trying on");
      },
    });
  }

  /** One step towards an even share, and everything in line with it; one at a time. */
  #settle(): Promise<void> {
    this.#settling = this.#settling.catch(() => {}).then(() => this.#balance());
    return this.#settling;
  }

  async #balance(): Promise<void> {
    const share = this.#share;
    if (share === null) return;
    const { log, onLeading } = this.#options;
    try {
      await share.balance(portionsOf(this.#topology), () => this.#change());
    } catch (error) {
      // the end of the session shows by itself
      log.debug({ err: error }, "the shares of the topology cannot be asked for");
    }
    this.#tell(share);
    if (this.leading !== this.#leads) {
      this.#leadFromNowOn(this.leading);
      if (this.leading) await onLeading();
    }
    await this.#change();
  }

  async #renew({ shares }: LeaseHold): Promise<void> {
    try {
      await this.#share?.renew(shares, () => this.#change());
    } catch (error) {
      this.#options.log.debug({ err: error }, "the shares of the topology cannot be taken again");
    }
  }

  #leadFromNowOn(leads: boolean): void {
    this.#leads = leads;
    this.#options.metrics.leader.set(leads ? 1 : 0);
  }

  /** What this process has got, where that is news. */
  #tell({ holder }: ShareOut): void {
    const { log } = this.#options;
    const links = this.#links().map(linkName);
    const now = links.length > 0 ? links.join(" ") : `held by ${holder?.holder}`;
    this.#waitingFor = links.length > 0 ? null : (holder?.holder ?? null);
    if (now === this.#told) return;
    this.#told = now;
    const { name, links: all } = this.#topology;
    if (links.length > 0) log.info({ topology: name, links: links.length, of: all.length }, "replicating");
    else if (holder !== null) this.#waits(holder);
  }

  #waits({ holder }: LeaseHolder): void {
    this.#waitingFor = holder;
    this.#options.log.warn({ code: "LEASE_HELD", holder }, `another replicator runs this topology: ${holder}; waiting for it to end`);
  }

  /** The links of this process's share. */
  #links(): readonly TopologyLink[] {
    const held = this.#share?.held ?? new Set();
    return portionsOf(this.#topology).flatMap(({ name, links }) => (held.has(name) ? links : []));
  }

  /** The nodes of those. */
  #ends(): readonly NodeName[] {
    return [...new Set(this.#links().flatMap(({ parent, child }) => [parent, child]))];
  }

  /** Whether this process is the one that counts what is captured in a node: it has the link above it, or leads. */
  #isOurs(name: NodeName): boolean {
    return name === hubOf(this.#topology).name ? this.leading : this.#links().some(({ child }) => child === name);
  }

  /** Brings services and nodes in line with the topology and the share. */
  async #change(): Promise<void> {
    const topology = this.#topology;
    const links = this.#links();
    const wanted: WantedService[] = links.map((link) => ({ service: this.#linkService(link), fingerprint: fingerprint(topology, link) }));
    wanted.push({ service: this.#watch, fingerprint: "" });
    if (topology.addsColumns) wanted.push({ service: this.#columns, fingerprint: "" });
    if (this.leading) wanted.push({ service: this.#history, fingerprint: "" }, { service: this.#logs, fingerprint: "" });
    if (this.leading)
      wanted.push(
        ...reconcileServices({ ...this.#options, topology, node: (name) => this.node(name), open: this.#options.parts.openNode }),
      );
    const ends = new Set<string>(this.#ends());
    // a slot is read by one process: it is free for another only when the node is closed
    const nodes = topology.nodes.filter((node) => node.type === "sqlite" || node.capture === "trigger" || ends.has(node.name));
    await this.#supervisor.change(wanted, () => this.#pool.keep(nodes));
    this.#options.lag.keep(directions({ ...topology, links }));
    this.#options.metrics.linksReplicated.set(links.length);
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
        const made = await this.#options.parts.createLink({ parent, child, link, topology, observer: this.#options.observer });
        await made.run(signal);
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
      if (this.#share !== null) log.warn({ node: node.name, err: error }, "the node could not be examined");
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
    this.#options.lag.keep(directions({ ...this.#topology, links: this.#links() }));
  }
}

/** All that the behaviour of a link depends on: when it changes, the link is started anew. */
function fingerprint(topology: Topology, link: TopologyLink): string {
  const { batch, retry, log } = topology;
  const names = new Set(link.channels.map(({ name }) => name));
  const ends = topology.nodes.filter(({ name }) => name === link.parent || name === link.child);
  return JSON.stringify([link, ends, topology.channels.filter(({ name }) => names.has(name)), batch, retry, log]);
}
