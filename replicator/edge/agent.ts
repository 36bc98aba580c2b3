import { TomboloError } from "../change/error.ts";
import { START } from "../change/names.ts";
import type { SyncProgress } from "../full-sync/progress.ts";
import { type Backoff, createBackoff } from "../link/backoff.ts";
import { sleep } from "../link/sleep.ts";
import type { LinkReport } from "../reconcile/reconcile-link.ts";
import type { Edge, EdgeCounts } from "./edge.ts";
import { EdgeErrands } from "./edge-errands.ts";
import { type Exchanged, INTERRUPTED, type WishedSync } from "./edge-link.ts";
import { HubError } from "./hub-client.ts";

/** What an agent tells those who watch it. Calls must not throw and must be cheap. */
export interface EdgeWatcher {
  /** `syncing` while something moves; otherwise whether the hub answered last. */
  status(now: EdgeState): void;
  /** So many changes of the hub's were applied in the exchange at hand. */
  progress(received: number): void;
  /** An exchange moved something. */
  completed(counts: EdgeCounts): void;
  /** It is tried again in `retryInMs`. */
  failed(error: unknown, retryInMs: number): void;
  /** The tables are being filled anew, as the hub wants. */
  fullSync?(progress: SyncProgress): void;
  /** The tables were compared with the hub's, as the hub wants. */
  reconciled?(report: LinkReport): void;
}

export type EdgeState = "online" | "offline" | "syncing";

export interface AgentOptions {
  readonly edge: Edge;
  readonly watcher: EdgeWatcher;
  /** The hub is asked at least this often, milliseconds. */
  readonly intervalMs: number;
  /** At least 0, less than 1; for tests. */
  readonly random?: () => number;
}

/** How long the hub holds a question that it has nothing to say to: below the minute that proxies take for silence. */
const LONGEST_WAIT_MS = 50_000;
/** What needs a person is asked about rarely: it costs data, and helps nobody. */
const NEEDS_A_PERSON_MS = 300_000;
/** Except for what the hub's operator settles from there, by letting the two begin anew. */
const SETTLED_AT_HUB = new Set(["PACKET_FORK", "PEER_EPOCH", "POSITION_AHEAD", "NODE_REWOUND", "DATABASE_CLONED"]);
const NEEDS_THE_HUB_MS = 60_000;
/** A hub that is written to all the time has something to say in every round: what else is to be done has its turn all the same. */
const MOST_ROUNDS_MS = 5_000;

/**
 * Keeps a database in step with its hub: sends what is written here at once, hears at once what the hub has, and otherwise waits. To be offline is a
 * normal state: what is written meanwhile is in the database's log, and goes when the hub is there again.
 */
export class EdgeAgent {
  readonly #options: AgentOptions;
  readonly #backoff: Backoff;
  #state: EdgeState | undefined;
  readonly #errands: EdgeErrands;
  #nudge = new AbortController();
  #isPaused = false;
  #lookedAround = performance.now();
  readonly #filling = (now: SyncProgress): void => this.#options.watcher.fullSync?.(now);

  constructor(options: AgentOptions) {
    const { random = Math.random } = options;
    this.#options = options;
    this.#errands = new EdgeErrands({ ...options, nudge: () => this.nudge() });
    this.#backoff = createBackoff({ initialMs: 1_000, factor: 2, maxMs: 32_000, jitter: true, random });
  }

  /** Returns when the signal aborts, after the packet in hand. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#loop(signal);
    } finally {
      await this.#errands.ended();
    }
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const moved = (await this.#round(signal)) === "moved";
        if (moved && performance.now() - this.#lookedAround < MOST_ROUNDS_MS) continue;
        await this.#lookAround(signal);
        if (!moved) await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.#failed(error, signal);
      }
    }
  }

  /** The network is back, or someone does not want to wait: tries now. */
  nudge(): void {
    this.#nudge.abort();
  }

  async #round(signal: AbortSignal): Promise<"moved" | "nothing"> {
    const { edge, watcher } = this.#options;
    const progress = (received: number): void => {
      this.#now("syncing");
      watcher.progress(received);
    };
    const moved = await edge.exchange({ final: false, signal, progress, filling: this.#filling });
    if (moved === INTERRUPTED) return "nothing";
    return this.#took(moved, signal);
  }

  async #took(moved: Exchanged, signal: AbortSignal): Promise<"moved" | "nothing"> {
    const { manifest: _, wanted, started, fullSync, reconcile, resync, isPaused, ...counts } = moved;
    this.#isPaused = isPaused;
    if (resync !== null) {
      await this.#beginAnew(resync, signal);
      return "moved";
    }
    this.#backoff.reset();
    this.#errands.wish({ fullSync, reconcile });
    const any = counts.sent + counts.received + counts.parked > 0;
    if (any) {
      this.#now("syncing");
      this.#options.watcher.completed(counts);
    }
    this.#now("online");
    return any || wanted + started > 0 ? "moved" : "nothing";
  }

  /** Nothing is exchanged meanwhile. */
  async #beginAnew(wished: WishedSync, signal: AbortSignal): Promise<void> {
    await this.#errands.forget();
    this.#now("syncing");
    await this.#options.edge.resync(wished, { watcher: { progress: this.#filling, note() {}, goAhead: async () => true }, signal });
    this.#backoff.reset();
  }

  async #lookAround(signal: AbortSignal): Promise<void> {
    await this.#errands.goOn(signal);
    await this.#options.edge.renewToken();
    this.#lookedAround = performance.now();
  }

  /** Waits for news, and on: what is told of the last ones asks for the next. Now and then an exchange that does not wait measures how far away the hub is. */
  async #follow(signal: AbortSignal): Promise<void> {
    const since = performance.now();
    while ((await this.#wait(signal)) === "moved" && performance.now() - since < MOST_ROUNDS_MS) await this.#lookAround(signal);
  }

  /** Until the edge has news, the hub has, or the interval is over. */
  async #wait(signal: AbortSignal): Promise<"moved" | "nothing"> {
    const { edge, intervalMs, watcher } = this.#options;
    const node = await edge.node();
    const over = new AbortController();
    const stop = (): void => over.abort();
    signal.addEventListener("abort", stop, { once: true });
    const interrupt = new AbortController();
    const nudged = this.#nudged();
    nudged.addEventListener("abort", stop, { once: true });
    // of a link that is stopped, nothing is sent: its own news are none
    const own = this.#isPaused ? aborted(over.signal) : node.log.news(edge.position ?? START, over.signal);
    const wake = (): void => interrupt.abort();
    // what fails here the next round meets itself
    const news = own.then(wake, wake);
    let moved: Exchanged | typeof INTERRUPTED;
    try {
      const progress = (received: number): void => watcher.progress(received);
      const waitMs = Math.min(intervalMs, LONGEST_WAIT_MS);
      moved = await edge.exchange({ final: false, waitMs, signal, interrupt: interrupt.signal, progress });
    } finally {
      signal.removeEventListener("abort", stop);
      nudged.removeEventListener("abort", stop);
      over.abort();
      await news;
    }
    return moved === INTERRUPTED ? "nothing" : this.#took(moved, signal);
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<void> {
    this.#now("offline");
    const retryInMs = Math.max(this.#backoff.next(error), leastPause(error));
    this.#options.watcher.failed(error, retryInMs);
    const pause = AbortSignal.any([signal, this.#nudged()]);
    await sleep(retryInMs, pause);
  }

  #nudged(): AbortSignal {
    if (this.#nudge.signal.aborted) this.#nudge = new AbortController();
    return this.#nudge.signal;
  }

  #now(state: EdgeState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.watcher.status(state);
  }
}

function leastPause(error: unknown): number {
  if (error instanceof HubError && error.retryAfterMs !== null) return error.retryAfterMs;
  if (error instanceof TomboloError && SETTLED_AT_HUB.has(error.code)) return NEEDS_THE_HUB_MS;
  const needsPerson = error instanceof TomboloError && ["operator", "usage", "newer", "fatal"].includes(error.kind);
  return needsPerson ? NEEDS_A_PERSON_MS : 0;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
