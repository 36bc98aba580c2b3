import type { NodeName } from "../change/names.ts";
import { NodePool } from "../lifecycle/node-pool.ts";
import type { Service } from "../lifecycle/service.ts";
import type { Timers } from "../lifecycle/timers.ts";
import { directLinks, hubOf, linkName, nodeOf } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import { edgesOf } from "../operations/ask-reconcile.ts";
import type { Topology, TopologyLink, TopologyNode, TopologyReconcile } from "../topology/topology.ts";
import { DELETE_GUARD } from "./delete-guard.ts";
import { lastDue, nextDue } from "./due.ts";
import { type LinkResult, reconcileLinks } from "./reconcile-links.ts";
import { ReconcileWatch } from "./reconcile-watch.ts";

export interface SchedulerOptions {
  readonly topology: Topology;
  /** Opens a node for the scheduler alone: its connections are none of the links'. */
  readonly open: (config: TopologyNode) => Promise<Node>;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly timers: Timers;
}

export const createScheduler = (options: SchedulerOptions): Service => new ReconcileScheduler(options);

/** A clock that is set forward, or a process that was stopped for a while, is noticed within this time. */
const LONGEST_SLEEP_MS = 60_000;
/** A clock that went back by more was set back. */
const SET_BACK_MS = 1_000;
/** Of one name; the edges' are among them. */
const RUNS_LOOKED_AT = 1_000;

/**
 * Reconciles when the topology says so: one schedule at a time, so that none overlaps another or itself. What came due while another one ran has its turn
 * afterwards; what came due while nobody ran the topology, or was interrupted, is made up for once. Links go on replicating meanwhile and carry what is repaired.
 */
class ReconcileScheduler implements Service {
  readonly name = "reconcile";
  readonly #options: SchedulerOptions;
  readonly #watch: ReconcileWatch;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#watch = new ReconcileWatch(options);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { topology, timers, log } = this.#options;
    const dueAt = new Map<TopologyReconcile, number | null>();
    for (const schedule of topology.reconcile) {
      const missed = await this.#missed(schedule);
      if (missed) log.info({ schedule: schedule.name }, "a reconcile was missed, and is made up for now");
      dueAt.set(schedule, missed ? timers.now() : nextDue(schedule, timers.now()));
    }
    let lookedAt = timers.now();
    while (!signal.aborted) {
      const now = timers.now();
      // what was to come could be years away otherwise
      if (now < lookedAt - SET_BACK_MS) for (const schedule of topology.reconcile) dueAt.set(schedule, nextDue(schedule, now));
      lookedAt = now;
      const [first] = [...dueAt].flatMap(([schedule, at]) => (at === null ? [] : [{ schedule, at }])).sort((a, b) => a.at - b.at);
      const wait = first === undefined ? LONGEST_SLEEP_MS : first.at - now;
      if (first === undefined || wait > 0) {
        await timers.sleep(Math.min(wait, LONGEST_SLEEP_MS), signal);
        continue;
      }
      await this.#reconcile(first.schedule, signal);
      dueAt.set(first.schedule, nextDue(first.schedule, timers.now()));
    }
  }

  /** It was due while nobody was there to see to it. Of a schedule that never ran nobody can say since when it is there. */
  async #missed(schedule: TopologyReconcile): Promise<boolean> {
    const due = lastDue(schedule, this.#options.timers.now());
    const last = due === null ? null : await this.#lastRun(schedule);
    if (due === null || last === null) return false;
    const ended = last.state !== "running" && last.error !== "RUN_INTERRUPTED";
    return Date.parse(last.startedAt) < due || !ended;
  }

  /** The newest record of it; a parent that cannot be reached knows of none. */
  async #lastRun(schedule: TopologyReconcile): Promise<ReconcileRun | null> {
    const parents = new Set(this.#linksOf(schedule).map(({ parent }) => parent));
    const newest: ReconcileRun[] = [];
    await this.#withNodes(async (node) => {
      for (const parent of parents) {
        try {
          const runs = await (await node(parent)).reconciles.runs({ name: schedule.name, limit: RUNS_LOOKED_AT });
          // what edges make of it is not this process's
          newest.push(...runs.filter(({ peer }) => this.#options.topology.links.some(({ child }) => child === peer)).slice(0, 1));
        } catch (error) {
          this.#options.log.debug({ node: parent, err: error }, "the node cannot be asked when it was last reconciled");
        }
      }
    });
    return newest.sort((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt))[0] ?? null;
  }

  /** Never throws: what went wrong is told, and the next time comes. */
  async #reconcile(schedule: TopologyReconcile, signal: AbortSignal): Promise<void> {
    const { topology, timers } = this.#options;
    const startedAt = timers.now();
    if (schedule.links === "all") await this.#askEdges(schedule);
    const results = await this.#withNodes((node) =>
      reconcileLinks({
        name: schedule.name,
        repair: schedule.repair,
        scope: schedule.scope,
        ...(schedule.pace !== undefined && { pace: schedule.pace }),
        topology,
        links: this.#linksOf(schedule),
        tables: null,
        guard: DELETE_GUARD,
        node,
        // the links of this process carry it, or those of another
        carry: async () => {},
        signal,
        sleep: timers.sleep,
        now: timers.now,
        onProgress: () => {},
        onReport: (result: LinkResult) => (signal.aborted ? undefined : this.#watch.linkDone(schedule, result)),
      }),
    );
    if (!signal.aborted) this.#watch.done(schedule, { results, startedAt, endedAt: timers.now() });
  }

  /** They compare themselves when they come: at once where they are online. Never throws. */
  async #askEdges({ name, repair, scope }: TopologyReconcile): Promise<void> {
    const { topology, log } = this.#options;
    if (topology.groups.length === 0) return;
    await this.#withNodes(async (node) => {
      for (const { edge, parent } of await edgesOf(topology, (await node(hubOf(topology).name)).tokens))
        await (await node(parent)).reconciles.request({ name, peer: edge, repair, scope });
    }).catch((error: unknown) => log.warn({ schedule: name, err: error }, "the edges could not be asked to compare themselves"));
  }

  async #withNodes<T>(work: (node: (name: NodeName) => Promise<Node>) => Promise<T>): Promise<T> {
    const pool = new NodePool({ open: this.#options.open, onOpened: () => {} });
    try {
      return await work((name) => pool.get(nodeOf(this.#options.topology, name)));
    } finally {
      await pool.closeAll();
    }
  }

  #linksOf({ links }: TopologyReconcile): readonly TopologyLink[] {
    if (links === "all") return directLinks(this.#options.topology);
    const names = new Set(links.map(linkName));
    return this.#options.topology.links.filter((link) => names.has(linkName(link)));
  }
}
