import type { NodeName } from "../change/names.ts";
import type { NodeStatus } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { NewNotification, NotificationDesk, NotificationWork } from "../node/notification-desk.ts";
import type { Topology, TopologyNotifications } from "../topology/topology.ts";
import type { NotificationEvent } from "./event.ts";
import { conflictsEvent, fullSyncEvent, mustResyncEvent, reconcileEvent } from "./find-events.ts";

/** What ended longer ago is not news: whoever was away for so long looks at `tombolo status`. */
export const NEWS_MS = 7 * 86_400_000;

/** Every look goes so much further back than the one before: what ends at the same moment is not seen by it, and clocks are measured roughly. */
const OVERLAP_MS = 15 * 60_000;
const MOST_RUNS = 10_000;
/** How far a node was looked at is written down when it has news, and this often. */
const NOTED_EVERY_MS = 10 * 60_000;
/** A node is the target of one at a time. */
const MOST_FULL_SYNCS = 100;

/** A level of the desk: since when a target is there. It is told of nothing that happened before. */
export const targetLevel = (name: string): string => `target/${name}`;
/** Another: up to when a node was looked at, by whichever process. */
const lookedLevel = (node: string): string => `looked/${node}`;

export interface WatchOptions {
  readonly topology: Topology;
  readonly notifications: TopologyNotifications;
  readonly desk: NotificationDesk;
  readonly now: () => number;
}

/**
 * Finds in the nodes' own records what happened, and enters it for those who want to know. Nothing has to be told to it, so that what another process did, or
 * what happened while nobody watched, is found as well; the ids keep it from being entered twice.
 */
export class NotificationWatch {
  readonly #options: WatchOptions;
  /** By node, what the last look has found and entered, so that the hub is not asked about it again. */
  readonly #entered = new Map<NodeName, ReadonlySet<string>>();
  /** By node, when it was last looked at by this process. */
  readonly #lookedAt = new Map<NodeName, number>();
  #levels = new Map<string, number>();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Before anything else: what earlier processes found, and since when targets are there. */
  async begin(): Promise<void> {
    const { desk, notifications, now } = this.#options;
    const names = notifications.targets.map(({ name }) => targetLevel(name));
    this.#levels = new Map(await desk.levels());
    for (const level of this.#levels.keys()) {
      if (level.startsWith(targetLevel("")) && !names.includes(level)) await this.#write({ lower: level });
    }
    for (const name of names) if (!this.#levels.has(name)) await this.#write({ raise: { name, at: now() } });
    const settled = { state: "dropped", nextAt: null, at: now(), error: "the topology has no such target any more" } as const;
    const orphans = (await desk.waiting()).filter(({ target }) => !names.includes(targetLevel(target)));
    if (orphans.length > 0) await this.#write({ settle: orphans.map(({ id, attempts }) => ({ id, attempts, ...settled })) });
  }

  /** Looks at one node. Throws what its database throws, or the hub's. */
  async look(node: Node): Promise<void> {
    const { topology, now } = this.#options;
    const at = now();
    const level = lookedLevel(node.name);
    const noted = this.#levels.get(level) ?? 0;
    const since = Math.max(at - NEWS_MS, (this.#lookedAt.get(node.name) ?? noted) - OVERLAP_MS);
    const status = await node.installation.status();
    // the records are of the node's clock
    const { clockOffsetMs } = status.identity;
    const copies = await node.copies.runs.list(MOST_FULL_SYNCS);
    const reconciles = await node.reconciles.runs({ endedSince: since + clockOffsetMs, limit: MOST_RUNS });
    const found = [
      ...copies.map((run) => fullSyncEvent(topology, node.name, run)),
      ...reconciles.map((run) => reconcileEvent(topology, node.name, run)),
    ].filter((event) => event !== null);
    const before = this.#entered.get(node.name);
    const news = found
      .map((event) => ({ event, at: Date.parse(event.occurred_at) - clockOffsetMs }))
      .filter(({ event, at: happenedAt }) => !before?.has(event.id) && happenedAt > at - NEWS_MS)
      .reverse();
    if (news.length > 0 || at - noted >= NOTED_EVERY_MS) {
      const enter = news.flatMap(({ event, at: happenedAt }) => this.#forTargets(event, happenedAt));
      await this.#write({ lower: level, raise: { name: level, at }, enter });
    }
    this.#entered.set(node.name, new Set(found.map(({ id }) => id)));
    this.#lookedAt.set(node.name, at);
    await this.#watchLevels(node, status);
  }

  async #watchLevels(node: Node, { peers, openConflicts }: NodeStatus): Promise<void> {
    const { topology, notifications } = this.#options;
    const left = `must_resync/${node.name}/`;
    const behind = peers.filter(({ role, state }) => role === "child" && state === "must_resync");
    for (const level of [...this.#levels.keys()].filter((name) => name.startsWith(left))) {
      if (!behind.some(({ name }) => level === left + name)) await this.#lower(level);
    }
    for (const { name, reason } of behind)
      await this.#raise(left + name, (since) => mustResyncEvent(topology, node.name, name, reason, since));
    const level = `conflicts_open/${node.name}`;
    const { openConflicts: most } = notifications;
    if (openConflicts > most) await this.#raise(level, (since) => conflictsEvent(topology, node.name, openConflicts, since));
    // between the two it stays as it is: a number that goes up and down by one is told once
    else if (openConflicts <= most / 2) await this.#lower(level);
  }

  async #raise(name: string, event: (since: number) => NotificationEvent): Promise<void> {
    if (this.#levels.has(name)) return;
    const at = this.#options.now();
    await this.#write({ raise: { name, at }, enter: this.#forTargets(event(at), at) });
  }

  async #lower(name: string): Promise<void> {
    if (this.#levels.has(name)) await this.#write({ lower: name });
  }

  async #write(work: NotificationWork): Promise<void> {
    await this.#options.desk.write(work);
    if (work.lower !== undefined) this.#levels.delete(work.lower);
    if (work.raise !== undefined) this.#levels.set(work.raise.name, work.raise.at);
  }

  /** `happenedAt`: by this process's clock. */
  #forTargets(event: NotificationEvent, happenedAt: number): NewNotification[] {
    const { notifications, now } = this.#options;
    const wanted = notifications.targets.filter(
      ({ name, events }) => (events as readonly string[]).includes(event.event) && happenedAt >= (this.#levels.get(targetLevel(name)) ?? 0),
    );
    return wanted.map(({ name }) => ({ target: name, eventId: event.id, event: JSON.stringify(event), at: now() }));
  }
}
