import type { NodeName } from "../change/names.ts";
import { describeError } from "../observability/describe-error.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { acquireLease, type LeaseHold, type LeaseHolder, type LeaseStore } from "./lease.ts";
import { HOUSEKEEPING, portionsOf, ShareOut } from "./share-out.ts";
import { sleepUnless, type Timers } from "./timers.ts";
import { linkName } from "./tree.ts";

export interface LeadershipOptions {
  readonly topology: () => Topology;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly timers: Timers;
  /** Called when this process begins to lead, before its links start; what it throws ends the term, and `run` with it. */
  readonly onLeading: () => Promise<void>;
  /** Brings what runs in line with `links`. What leaves the share has stopped when it returns. */
  readonly onShare: () => Promise<void>;
  /** The term is over: stops everything, before the lease is released. */
  readonly onEnd: () => Promise<void>;
}

/** Between two looks at who else runs the topology, and at what they leave. */
const SHARE_MS = 2_000;

/** What this process may do for the topology: the lease, its share of the links, and whether it leads; a term lasts from getting the lease to losing it. */
export class Leadership {
  readonly #options: LeadershipOptions;
  #share: ShareOut | null = null;
  #waitingFor: string | null = null;
  /** What was last told of the share. */
  #told = "";
  #leads = false;
  #settling: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** Whether this process has the lease, and with it a share (which may be empty). */
  get inTerm(): boolean {
    return this.#share !== null;
  }

  /** Whether this process does what is done once for the whole topology. */
  get leading(): boolean {
    return this.#share?.held.has(HOUSEKEEPING) ?? false;
  }

  /** Who has what this process waits for; null when it waits for nobody. */
  get waitingFor(): string | null {
    return this.#waitingFor;
  }

  /** The links of this process's share. */
  get links(): readonly TopologyLink[] {
    const held = this.#share?.held ?? new Set();
    return portionsOf(this.#options.topology()).flatMap(({ name, links }) => (held.has(name) ? links : []));
  }

  /** Whether the link above the node is of this process's share. */
  replicates(child: NodeName): boolean {
    const held = this.#share?.held;
    if (held === undefined) return false;
    return portionsOf(this.#options.topology()).some(({ name, links }) => held.has(name) && links.some((link) => link.child === child));
  }

  /** Term after term, until told to stop. */
  async run(store: LeaseStore, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) await this.#term(store, stop);
  }

  /** One step towards an even share, and everything in line with it; one at a time. */
  settle(): Promise<void> {
    this.#settling = this.#settling.catch(() => {}).then(() => this.#balance());
    return this.#settling;
  }

  async #term(store: LeaseStore, stop: AbortSignal): Promise<void> {
    let hold = await this.#acquire(store, stop, false);
    if (hold === null) return;
    const { log, timers, onEnd } = this.#options;
    this.#share = new ShareOut(hold.shares);
    try {
      while (hold !== null && !stop.aborted) {
        await this.settle();
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
      await onEnd();
      this.#share = null;
      this.#told = "";
      this.#leadFromNowOn(false);
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

  async #balance(): Promise<void> {
    const share = this.#share;
    if (share === null) return;
    const { log, topology, onLeading, onShare } = this.#options;
    try {
      await share.balance(portionsOf(topology()), onShare);
    } catch (error) {
      // the end of the session shows by itself
      log.debug({ err: error }, "the shares of the topology cannot be asked for");
    }
    this.#tell(share);
    if (this.leading !== this.#leads) {
      this.#leadFromNowOn(this.leading);
      if (this.leading) await onLeading();
    }
    await onShare();
  }

  async #renew({ shares }: LeaseHold): Promise<void> {
    const { log, onShare } = this.#options;
    try {
      await this.#share?.renew(shares, onShare);
    } catch (error) {
      log.debug({ err: error }, "the shares of the topology cannot be taken again");
    }
  }

  #leadFromNowOn(leads: boolean): void {
    this.#leads = leads;
    this.#options.metrics.leader.set(leads ? 1 : 0);
  }

  /** What this process has got, where that is news. */
  #tell({ holder }: ShareOut): void {
    const { log, topology } = this.#options;
    const links = this.links.map(linkName);
    const now = links.length > 0 ? links.join(" ") : `held by ${holder?.holder}`;
    this.#waitingFor = links.length > 0 ? null : (holder?.holder ?? null);
    if (now === this.#told) return;
    this.#told = now;
    const { name, links: all } = topology();
    if (links.length > 0) log.info({ topology: name, links: links.length, of: all.length }, "replicating");
    else if (holder !== null) this.#waits(holder);
  }

  #waits({ holder }: LeaseHolder): void {
    this.#waitingFor = holder;
    this.#options.log.warn({ code: "LEASE_HELD", holder }, `another replicator runs this topology: ${holder}; waiting for it to end`);
  }
}
