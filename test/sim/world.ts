import { channelName, nodeName } from "../../replicator/change/names.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { createLink } from "../../replicator/link/create-link.ts";
import type { LinkObserver } from "../../replicator/link/link.ts";
import type { Topology, TopologyLink } from "../../replicator/topology/topology.ts";
import { Chance } from "./chance.ts";
import { type Bug, ModelDatabase } from "./model-database.ts";
import { CHANNEL, isFor, positions } from "./model-log.ts";
import { modelNode, TABLE } from "./model-node.ts";
import { type Plan, TREES } from "./plan.ts";
import { Process, Scheduler } from "./scheduler.ts";

const modules = createModuleRunner();
/** What a link may meet when a server dies under it, or another replicator is there as well; it has to get over these by itself. */
const EXPECTED = new Set(["CONNECTION_LOST", "DEADLOCK", "PACKET_GAP", "PACKET_FORK", "POSITION_AHEAD"]);

function hasAll(source: ModelDatabase, target: ModelDatabase): boolean {
  const peer = target.peers.get(source.name);
  const at = peer === undefined ? undefined : positions(peer.received)[CHANNEL];
  if (peer === undefined || at === undefined || source.hasUnsealed || source.isWritten) return false;
  return peer.wanted.length === 0 && source.between(at, source.newest).every((entry) => !isFor(entry, target.name));
}

/** A tree of databases with a replicator, in model time. */
export class World {
  readonly databases: readonly ModelDatabase[];
  readonly scheduler: Scheduler;
  /** What no link should have met. */
  readonly faults: string[] = [];
  readonly #plan: Plan;
  readonly #busy = new Set<string>();
  #replicators: Process[] = [];
  #started = 0;

  constructor(plan: Plan, bugs: ReadonlySet<Bug>) {
    this.#plan = plan;
    this.scheduler = new Scheduler(new Chance(plan.seed));
    const parents = TREES[plan.tree] ?? [];
    this.databases = parents.map((_, at) => {
      const { serial = false, clockMs = 0 } = plan.nodes[at] ?? {};
      return new ModelDatabase({ name: nodeName(`node-${at}`), clockMs, bugs, serial });
    });
  }

  close(): void {
    this.kill();
    this.scheduler.close();
  }

  /** Every database has all that its neighbours have for it. */
  get isAtRest(): boolean {
    return (TREES[this.#plan.tree] ?? []).every((parentAt, at) => {
      const [child, parent] = [this.databases[at], parentAt === null ? undefined : this.databases[parentAt]];
      if (child === undefined || parent === undefined) return true;
      return hasAll(child, parent) && hasAll(parent, child);
    });
  }

  /** Replicators that run. */
  get running(): number {
    return this.#replicators.length;
  }

  /** Starts a replicator. */
  start(): void {
    this.#started += 1;
    const process = new Process(`replicator ${this.#started}`);
    this.#replicators.push(process);
    const { scheduler } = this;
    const nodes = this.databases.map((database) => modelNode({ database, process, scheduler, busy: this.#busy }));
    for (const [at, parentAt] of (TREES[this.#plan.tree] ?? []).entries()) {
      const [child, parent] = [nodes[at], parentAt === null ? undefined : nodes[parentAt]];
      if (child === undefined || parent === undefined) continue;
      const { topology, link } = this.#topology(parent.name, child.name);
      const made = createLink({ parent, child, link, topology, observer: this.#observer(process), modules });
      made.run(process.stop.signal).catch((error: unknown) => this.faults.push(String(error)));
    }
  }

  /** Kills those that run. */
  kill(): void {
    for (const process of this.#replicators.splice(0)) this.scheduler.kill(process);
  }

  #observer(process: Process): LinkObserver {
    return {
      applied() {},
      caughtUp() {},
      failed: ({ error }) => {
        if (!process.alive) return;
        const code = (error as { code?: string }).code ?? "";
        if (!EXPECTED.has(code)) this.faults.push(`${code} ${(error as Error).stack}`);
      },
      recovered() {},
      notice() {},
    };
  }

  #topology(parent: TopologyLink["parent"], child: TopologyLink["child"]): { topology: Topology; link: TopologyLink } {
    const all = channelName("all");
    const link: TopologyLink = { parent, child, params: {}, channels: [{ name: all, direction: "both" }] };
    const table = { name: TABLE, sqliteName: "t", exclude: [], filter: null, ...this.#plan.rule };
    const topology = {
      name: "model",
      file: "/model.yaml",
      nodes: [],
      channels: [{ name: all, priority: 100, tables: [table] }],
      links: [link],
      groups: [],
      batch: { maxRows: this.#plan.maxRows, maxBytes: 4 << 20, maxWaitMs: 50, compression: "none" },
      retry: { initialMs: 50, factor: 2, maxMs: 500, jitter: false },
      log: { keepMs: 1e9, maxSizeBytes: 1e12 },
      history: { keepMs: 1e9 },
      reconcile: [],
      metrics: null,
      hub: null,
      addsColumns: false,
    } as unknown as Topology;
    return { topology, link };
  }
}
