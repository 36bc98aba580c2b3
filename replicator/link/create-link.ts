import { usableOffset } from "../change/clock.ts";
import { elapsedMs } from "../change/elapsed.ts";
import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import type { Judge } from "../change/verdict.ts";
import { createJudge } from "../conflict/judge.ts";
import type { ModuleRunner } from "../conflict/module-runner.ts";
import type { NodeIdentity } from "../node/identity.ts";
import type { Node } from "../node/node.ts";
import type { ApplyContext } from "../node/target.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { type Backoff, createBackoff } from "./backoff.ts";
import { type Flow, flows, scopedTables } from "./flow.ts";
import { identityOf } from "./identities.ts";
import type { Link, LinkCounts, LinkObserver } from "./link.ts";
import { LinkScopes } from "./link-scopes.ts";
import { Rest } from "./rest.ts";
import { mustNotBeRewound } from "./rewound.ts";
import { RoundWatch } from "./round-watch.ts";
import { OVER, sleep } from "./sleep.ts";
import { MOST_SYNC_ROUNDS } from "./sync-rounds.ts";
import { Transfer, type Transferred } from "./transfer.ts";

export interface LinkOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly observer: LinkObserver;
  /** Runs the users' modules that decide conflicts. */
  readonly modules: ModuleRunner;
  /** Milliseconds since 1970; for tests. */
  readonly now?: () => number;
}

/** How long a link without news waits before it looks around all the same (pauses, parked changes, another process). */
const IDLE_ROUND_MS = 3_000;
/** Twice as long after every round in which nothing moved and nothing waits, up to this: many links at rest cost next to nothing. */
const LONGEST_IDLE_ROUND_MS = 48_000;
/** Between two such rounds, the link says this often that it has nothing to do. Below `SILENCE_MS` of lag.ts. */
const STILL_IDLE_MS = 10_000;
/** Logs are looked at by those who tell their news; that they had none is known up to so long ago. Above twice what their watchers sleep. */
const NEWS_TAKE_MS = 2_500;
/** Clocks are measured again, and a node's identity is checked, this often. */
const IDENTITY_MS = 30_000;
/** Another process on the same link shows as one of these; reading the state anew settles it, unless it is really so. */
const SETTLED_BY_READING_ANEW = new Set(["PACKET_GAP", "PACKET_FORK", "POSITION_AHEAD", "PEER_UNKNOWN", "DATABASE_PUT_BACK"]);
const ANEW_ATTEMPTS = 3;
const NOTHING: Transferred = { changes: 0, conflicts: 0, parked: 0, wanted: 0, waiting: false };
const PAUSED: Round = { sent: 0, received: 0, conflicts: 0, parked: 0, wanted: 0, waiting: true };
/** How soon a link that was paused goes on. Its news do not wake it: there may be some all the time. */
const PAUSED_ROUND_MS = 1_000;

/** What a round moved. */
interface Round extends LinkCounts {
  readonly wanted: number;
  /** Someone has to do something, or time has to pass, before it goes on: the link is paused, or changes are parked. */
  readonly waiting: boolean;
}

export function createLink(options: LinkOptions): Link {
  return new DirectLink(options);
}

class DirectLink implements Link {
  readonly parent: NodeName;
  readonly child: NodeName;
  readonly #options: LinkOptions;
  readonly #now: () => number;
  readonly #judge: Judge;
  readonly #up: Transfer;
  readonly #down: Transfer;
  readonly #flows: { up: Flow; down: Flow };
  readonly #backoff: Backoff;
  /** Of the way up. */
  readonly #rest: Rest;
  readonly #watch: RoundWatch;
  #met = false;
  /** Neither of the two is behind what the other knows of it. */
  #compared = false;
  /** Of both ends, when it began to remember anything of them. */
  #lives = 0;
  #identities: { parent: NodeIdentity; child: NodeIdentity; readAt: number } | undefined;

  constructor(options: LinkOptions) {
    const { parent, child, topology } = options;
    this.parent = parent.name;
    this.child = child.name;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#judge = createJudge(options.modules);
    this.#flows = flows(options);
    const shared = {
      parent: parent.name,
      child: child.name,
      bounds: { maxRows: topology.batch.maxRows, maxBytes: topology.batch.maxBytes },
      codec: topology.batch.compression,
      observer: options.observer,
      now: this.#now,
      scopes: new LinkScopes({ parent, child: child.name, tables: scopedTables(options) }),
    };
    this.#up = new Transfer({ ...shared, flow: this.#flows.up });
    this.#down = new Transfer({ ...shared, flow: this.#flows.down, beforeTelling: () => this.#bringUp() });
    this.#backoff = createBackoff(topology.retry);
    this.#rest = new Rest({ log: child.log, now: this.#now });
    this.#watch = new RoundWatch({
      silent: (error) => options.observer.failed({ parent: parent.name, child: child.name, error, retryInMs: null, attempt: 1 }),
    });
  }

  async sync(signal: AbortSignal): Promise<LinkCounts> {
    const total = { sent: 0, received: 0, conflicts: 0, parked: 0 };
    for (let round = 0; round < MOST_SYNC_ROUNDS; round++) {
      signal.throwIfAborted();
      const { sent, received, conflicts, parked, wanted } = await this.#round({ final: true });
      total.sent += sent;
      total.received += received;
      total.conflicts += conflicts;
      total.parked += parked;
      if (sent + received + parked + wanted === 0) break;
    }
    return total;
  }

  async run(signal: AbortSignal): Promise<void> {
    let attempt = 0;
    let idleMs = IDLE_ROUND_MS;
    this.#watch.start(signal);
    while (!signal.aborted) {
      try {
        const moved = await this.#watch.during(() => this.#round({ final: false }));
        if (attempt > 0) this.#options.observer.recovered({ parent: this.parent, child: this.child });
        attempt = 0;
        this.#backoff.reset();
        const isIdle = moved.sent + moved.received + moved.parked + moved.wanted === 0;
        if (!isIdle || moved.waiting) idleMs = IDLE_ROUND_MS;
        if (moved === PAUSED) await sleep(PAUSED_ROUND_MS, signal);
        else if (isIdle && (await this.#waitForNews(idleMs, signal)) === "nothing") idleMs = Math.min(2 * idleMs, LONGEST_IDLE_ROUND_MS);
      } catch (error) {
        if (signal.aborted) break;
        this.#forget();
        attempt += 1;
        const retryInMs = this.#backoff.next(error);
        this.#options.observer.failed({ parent: this.parent, child: this.child, error, retryInMs, attempt });
        await sleep(retryInMs, signal);
      }
    }
    this.#rest.end();
  }

  async retryParked(only?: { readonly parent: readonly bigint[]; readonly child: readonly bigint[] }): Promise<number> {
    await this.#meet();
    const { parent, child } = await this.#identify();
    const ahead = child.clockOffsetMs - parent.clockOffsetMs;
    const up = await this.#up.retryParked(this.#context(this.#flows.up, ahead, parent), only?.parent);
    return up + (await this.#down.retryParked(this.#context(this.#flows.down, -ahead, child), only?.child));
  }

  /** Up, then down: what the child has decided on its own is judged before the parent's news reaches it. */
  async #round(options: { readonly final: boolean }): Promise<Round> {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#mustBeOfThisLife();
        await this.#meet();
        if ((await this.#up.paused()) || (await this.#down.paused())) return PAUSED;
        const { parent, child } = await this.#identify();
        if (!this.#compared) await mustNotBeRewound(this.#options.parent, this.#options.child);
        this.#compared = true;
        await this.#down.prepareScopes();
        const ahead = child.clockOffsetMs - parent.clockOffsetMs;
        const up =
          this.#rest.isOn && !options.final
            ? NOTHING
            : await this.#up.pass(child.epoch, this.#context(this.#flows.up, ahead, parent), options);
        if (up !== NOTHING) this.#restAfter(up);
        const context = { ...this.#context(this.#flows.down, -ahead, child), parkedAtSource: up.waiting };
        const down = await this.#down.pass(parent.epoch, context, options);
        return {
          sent: up.changes,
          received: down.changes,
          conflicts: up.conflicts + down.conflicts,
          parked: up.parked + down.parked,
          wanted: up.wanted + down.wanted,
          waiting: up.waiting || down.waiting,
        };
      } catch (error) {
        if (attempt >= ANEW_ATTEMPTS || !(error instanceof TomboloError) || !SETTLED_BY_READING_ANEW.has(error.code)) throw error;
        this.#forget();
      }
    }
  }

  /** What the child has changed before it asked the parent for rows. */
  async #bringUp(): Promise<void> {
    const { parent, child } = await this.#identify();
    const context = this.#context(this.#flows.up, child.clockOffsetMs - parent.clockOffsetMs, parent);
    this.#restAfter(await this.#up.pass(child.epoch, context, { final: true }));
  }

  #restAfter(up: Transferred): void {
    if (up.changes + up.parked + up.wanted === 0 && !up.waiting) this.#rest.begin(this.#up.position);
    else this.#rest.end();
  }

  async #meet(): Promise<void> {
    if (this.#met) return;
    const { parent, child } = this.#options;
    await parent.target.meet([{ name: child.name, role: "child" }]);
    await child.target.meet([{ name: parent.name, role: "parent" }]);
    this.#met = true;
  }

  async #identify(): Promise<{ parent: NodeIdentity; child: NodeIdentity }> {
    if (this.#identities === undefined || elapsedMs(this.#identities.readAt, this.#now()) > IDENTITY_MS) {
      // where something went wrong, what another link has read may be out of date as well
      const reading = { now: this.#now(), atMostMs: this.#identities === undefined ? 0 : IDENTITY_MS / 2 };
      const [parent, child] = await Promise.all([identityOf(this.#options.parent, reading), identityOf(this.#options.child, reading)]);
      this.#identities = { parent, child, readAt: this.#now() };
    }
    return this.#identities;
  }

  #context(flow: Flow, sourceAheadMs: number, target: NodeIdentity): ApplyContext {
    return {
      from: flow.from,
      rules: flow.rules,
      judge: this.#judge,
      clockOffsetMs: usableOffset(sourceAheadMs),
      nowMs: this.#now() + target.clockOffsetMs,
      onPart: this.#watch.moved,
    };
  }

  async #waitForNews(atMostMs: number, signal: AbortSignal): Promise<"news" | "nothing"> {
    const waiting = new AbortController();
    const stop = (): void => waiting.abort(OVER);
    signal.addEventListener("abort", stop, { once: true });
    const still = setInterval(() => this.#stillIdle(), STILL_IDLE_MS);
    try {
      return await Promise.race([
        this.#options.child.log.news(this.#up.position, waiting.signal).then(() => "news" as const),
        this.#options.parent.log.news(this.#down.position, waiting.signal).then(() => "news" as const),
        sleep(atMostMs, waiting.signal).then(() => "nothing" as const),
      ]);
    } finally {
      clearInterval(still);
      signal.removeEventListener("abort", stop);
      waiting.abort(OVER);
    }
  }

  #stillIdle(): void {
    const at = this.#now() - NEWS_TAKE_MS;
    for (const { source, target } of Object.values(this.#flows)) {
      this.#options.observer.caughtUp({ source: source.name, target: target.name, at });
    }
  }

  /** Another link of the process may have been the one that found a database put back. */
  #mustBeOfThisLife(): void {
    const lives = this.#options.parent.log.lives + this.#options.child.log.lives;
    if (lives !== this.#lives) this.#forget();
    this.#lives = lives;
  }

  #forget(): void {
    this.#rest.end();
    this.#up.reset();
    this.#down.reset();
    this.#identities = undefined;
    this.#met = false;
    this.#compared = false;
  }
}
