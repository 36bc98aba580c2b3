import type { NodeName } from "../change/names.ts";
import type { LinkObserver } from "../link/link.ts";
import type { Node } from "../node/node.ts";
import { describeError } from "../observability/describe-error.ts";
import type { LagBook } from "../observability/lag.ts";
import type { Logger } from "../observability/log.ts";
import { declareLabels, directions, type Metrics } from "../observability/metrics.ts";
import { collectStatus, type Reached, type StatusReport } from "../observability/status-report.ts";
import type { Topology, TopologyLink, TopologyNode } from "../topology/topology.ts";
import { ColumnCarrier } from "./column-carrier.ts";
import { edgeContacts } from "./edge-contacts.ts";
import { EdgeGroups } from "./edge-groups.ts";
import { historyKeeper } from "./history-keeper.ts";
import { Leadership } from "./leadership.ts";
import { logKeeper } from "./log-keeper.ts";
import { NodePool } from "./node-pool.ts";
import { NodeWatch } from "./node-watch.ts";
import { notificationServices } from "./notification-services.ts";
import type { Parts } from "./parts.ts";
import { openExamined, preflight } from "./preflight.ts";
import { reconcileServices } from "./reconcile-services.ts";
import type { Service, ServiceFailure } from "./service.ts";
import { portionsOf } from "./share-out.ts";
import { Supervisor, type WantedService } from "./supervisor.ts";
import type { Timers } from "./timers.ts";
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

interface InLine {
  readonly topology: Topology;
  readonly links: readonly TopologyLink[];
  readonly leading: boolean;
  readonly nodes: readonly TopologyNode[];
}

const isSame = (these: readonly TopologyLink[], those: readonly TopologyLink[]): boolean =>
  these.length === those.length && these.every((link, at) => link === those[at]);

/**
 * The long-running replicator: takes the lease of the topology, then its share of the links, and runs one service for each and one that watches the
 * nodes, until it is told to stop. What it knows is in the databases; it may die at any line.
 */
export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #pool: NodePool;
  readonly #supervisor: Supervisor;
  readonly #leadership: Leadership;
  readonly #watch: NodeWatch;
  readonly #history: Service;
  readonly #logs: Service;
  readonly #contacts: Service;
  readonly #columns: ColumnCarrier;
  readonly #stop = new AbortController();
  #fatal: { readonly error: unknown } | null = null;
  /** What services and nodes are in line with. */
  #inLine: InLine | null = null;
  #topology: Topology;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#topology = options.topology;
    const { log, timers, parts } = options;
    this.#pool = new NodePool({
      open: (config) => openExamined({ parts, config, topology: this.#topology, log }),
      onOpened: (node) => this.#opened(node),
    });
    const edges = new EdgeGroups({
      topology: () => this.#topology,
      tokens: () => this.#pool.current(hubOf(this.#topology).name)?.tokens ?? null,
      now: timers.now,
    });
    this.#watch = new NodeWatch({
      ...options,
      node: (name) => this.#pool.current(name),
      names: () => this.#ends(),
      isOurs: (name) => this.#isOurs(name),
      groupsOf: (children) => edges.of(children),
    });
    this.#history = historyKeeper({
      ...options,
      node: (name) => this.#pool.current(name),
      names: () => this.#topology.nodes.map(({ name }) => name),
      keepMs: () => this.#topology.history.keepMs,
    });
    this.#logs = logKeeper({
      ...options,
      node: (name) => this.#pool.current(name),
      names: () => this.#topology.nodes.map(({ name }) => name),
      retention: () => ({ keepMs: this.#topology.log.keepMs, maxBytes: this.#topology.log.maxSizeBytes }),
    });
    this.#contacts = edgeContacts({
      ...options,
      node: (name) => this.#pool.current(name),
      names: () => [hubOf(this.#topology).name],
      groups: () => this.#topology.groups.map(({ name }) => name),
    });
    this.#columns = new ColumnCarrier({
      ...options,
      topology: () => this.#topology,
      links: () => this.#leadership.links,
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
    this.#leadership = new Leadership({
      ...options,
      topology: () => this.#topology,
      onShare: () => this.#change(),
      onEnd: () => this.#end(),
    });
    this.#declare();
    log.debug({ topology: this.#topology.name }, "replicator made");
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** Whether this process does what is done once for the whole topology. */
  get leading(): boolean {
    return this.#leadership.leading;
  }

  /** Returns when the signal has aborted and every link has finished the batch in hand. Throws what must end the process (fatal, newer). */
  async run(signal: AbortSignal): Promise<void> {
    const stop = this.#stop.signal;
    if (signal.aborted) return;
    signal.addEventListener("abort", () => this.#stop.abort(), { once: true });
    const store = await this.#options.parts.leaseStore(hubOf(this.#topology), this.#topology.name);
    try {
      await this.#leadership.run(store, stop);
    } finally {
      await this.#pool.closeAll();
    }
    if (this.#fatal !== null) throw this.#fatal.error;
  }

  /** Goes over to another topology with the same name and hub: only links and nodes that changed are stopped and started. */
  async reload(topology: Topology): Promise<void> {
    this.#topology = topology;
    this.#declare();
    if (!this.#leadership.inTerm) {
      await this.#pool.keep(topology.nodes);
      return;
    }
    await this.#leadership.settle();
    for (const { name } of topology.nodes) this.#examine(this.#pool.current(name));
  }

  /** Why this process cannot be relied upon now; empty when it has its share and every node of that is open. */
  notReady(): readonly string[] {
    // where all children come by themselves, there is only the hub to be open
    const isAlone = this.leading && portionsOf(this.#topology).length === 0;
    const ends = isAlone ? [hubOf(this.#topology).name] : this.#ends();
    const { waitingFor } = this.#leadership;
    if (ends.length === 0) return [waitingFor === null ? "starting" : `waiting for the lease, which is held by ${waitingFor}`];
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
    return collectStatus(this.#topology, nodes, this.#options.timers.now, this.#options.lag);
  }

  /** The nodes at the ends of this process's links. */
  #ends(): readonly NodeName[] {
    return [...new Set(this.#leadership.links.flatMap(({ parent, child }) => [parent, child]))];
  }

  /** Whether this process is the one that counts what is captured in a node: it has the link above it, or leads. */
  #isOurs(name: NodeName): boolean {
    return name === hubOf(this.#topology).name ? this.leading : this.#leadership.replicates(name);
  }

  /** Brings services and nodes in line with the topology and the share. */
  async #change(): Promise<void> {
    const topology = this.#topology;
    const { links } = this.#leadership;
    const { leading } = this;
    const before = this.#inLine;
    const isReplaced = this.#pool.lookForReplaced(this.#options.log);
    // every two seconds; a node that someone has opened meanwhile and that is not ours is closed all the same
    if (!isReplaced && before?.topology === topology && before.leading === leading && isSame(before.links, links))
      return this.#pool.keep(before.nodes);
    this.#inLine = null;
    const wanted: WantedService[] = links.map((link) => ({ service: this.#linkService(link), fingerprint: this.#fingerprint(link) }));
    wanted.push({ service: this.#watch, fingerprint: "" });
    if (topology.addsColumns) wanted.push({ service: this.#columns, fingerprint: "" });
    if (this.leading) wanted.push({ service: this.#history, fingerprint: "" }, { service: this.#logs, fingerprint: "" });
    if (this.leading && topology.groups.length > 0) wanted.push({ service: this.#contacts, fingerprint: "" });
    if (this.leading)
      wanted.push(
        ...reconcileServices({ ...this.#options, topology, node: (name) => this.node(name), open: this.#options.parts.openNode }),
        ...notificationServices({ ...this.#options, topology, node: (name) => this.node(name) }),
      );
    const ends = new Set<string>(this.#ends());
    // a slot is read by one process: it is free for another only when the node is closed
    const nodes = topology.nodes.filter((node) => node.type === "sqlite" || node.capture === "trigger" || ends.has(node.name));
    await this.#supervisor.change(wanted, () => this.#pool.keep(nodes));
    this.#inLine = { topology, links, leading, nodes };
    this.#options.lag.keep(directions({ ...topology, links }));
    this.#options.metrics.linksReplicated.set(links.length);
  }

  async #end(): Promise<void> {
    this.#inLine = null;
    await this.#supervisor.stopAll();
    // whoever leads next knows the lag, this process no longer does
    this.#options.lag.keep([]);
    this.#options.metrics.linksReplicated.set(0);
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

  /** All that the behaviour of a link depends on: when it changes, the link is started anew. */
  #fingerprint(link: TopologyLink): string {
    return [this.#pool.lifeOf(link.parent), this.#pool.lifeOf(link.child), fingerprint(this.#topology, link)].join(" ");
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
      if (this.#leadership.inTerm) log.warn({ node: node.name, err: error }, "the node could not be examined");
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
    this.#options.lag.keep(directions({ ...this.#topology, links: this.#leadership.links }));
  }
}

/** What the topology says of a link. */
function fingerprint(topology: Topology, link: TopologyLink): string {
  const { batch, retry, log } = topology;
  const names = new Set(link.channels.map(({ name }) => name));
  const ends = topology.nodes.filter(({ name }) => name === link.parent || name === link.child);
  return JSON.stringify([link, ends, topology.channels.filter(({ name }) => names.has(name)), batch, retry, log]);
}
