/** A link that has nothing to do says so every ten seconds (see create-link.ts); one that has been silent for this long is stuck. */
const SILENCE_MS = 15_000;

/**
 * How far one target is behind one source, from what the link and the source's log tell. All moments are ms since 1970 by the
 * clock of this process.
 *
 * It remembers one moment: everything that was committed at the source up to then is at the target. Idle means that this moment is
 * now; in any other state the lag is the time since, so it grows by itself while nothing happens.
 */
export class Lag {
  /** Silent for longer, it is stuck. */
  readonly #silenceMs: number;
  #reached: number | null = null;
  #idle = false;

  constructor(silenceMs: number = SILENCE_MS) {
    this.#silenceMs = silenceMs;
  }

  /** Nothing was pending at `at`. */
  caughtUp(at: number): void {
    this.#reached = at;
    this.#idle = true;
  }

  /** A packet whose oldest change was `lagSeconds` old was applied at `at`; null for a fill or an empty packet, which say nothing about age. */
  applied(at: number, lagSeconds: number | null): void {
    if (lagSeconds === null) return;
    this.#idle = false;
    this.#reached = at - Math.max(0, lagSeconds) * 1000;
  }

  /** The link does not go on: a database is away, or it waits for a person. */
  stalled(): void {
    this.#idle = false;
  }

  /**
   * The source's log holds changes for the target, the oldest of `oldestAt`. Counts only from `graceMs` on: what is younger is on its
   * way. So a link that is stuck without knowing it does not look idle.
   */
  pending(oldestAt: number, now: number, graceMs: number): void {
    if (now - oldestAt < graceMs) return;
    if (this.#idle || this.#reached === null || oldestAt < this.#reached) this.#reached = oldestAt;
    this.#idle = false;
  }

  /** Undefined before anything is known. */
  seconds(now: number): number | undefined {
    if (this.#reached === null) return undefined;
    if (this.#idle && now - this.#reached < this.#silenceMs) return 0;
    return Math.max(0, now - this.#reached) / 1000;
  }
}

interface Direction {
  readonly source: string;
  readonly target: string;
}

/** The lag of every direction of every link. */
export class LagBook {
  readonly #entries = new Map<string, { readonly label: Direction; readonly isEdge: boolean; readonly lag: Lag }>();
  readonly #offsets = new Map<string, number>();
  /** Null: all. */
  #kept: ReadonlySet<string> | null = null;

  /** The node's clock minus this process's, milliseconds; null before it was measured. */
  clockOffsetMs(node: string): number | null {
    return this.#offsets.get(node) ?? null;
  }

  measured(node: string, clockOffsetMs: number): void {
    this.#offsets.set(node, clockOffsetMs);
  }

  /** `label`: what metrics call the two, where that is not their names: many edges of a group have one, and each is silent for as long as it likes. */
  of(source: string, target: string, label: Direction = { source, target }): Lag {
    const key = JSON.stringify([source, target]);
    const isEdge = label.source !== source || label.target !== target;
    const entry = this.#entries.get(key) ?? { label, isEdge, lag: new Lag(isEdge ? Number.POSITIVE_INFINITY : SILENCE_MS) };
    // what is not kept is another process's to tell
    if (isEdge || (this.#kept?.has(key) ?? true)) this.#entries.set(key, entry);
    return entry.lag;
  }

  /** Of a link of this process; undefined for others, and before anything is known. */
  secondsOf(source: string, target: string, now: number): number | undefined {
    return this.#entries.get(JSON.stringify([source, target]))?.lag.seconds(now);
  }

  /** Of several under one label, the furthest behind. */
  values(now: number): readonly (Direction & { readonly seconds: number })[] {
    const furthest = new Map<string, Direction & { readonly seconds: number }>();
    for (const { label, lag } of this.#entries.values()) {
      const seconds = lag.seconds(now);
      const key = JSON.stringify([label.source, label.target]);
      if (seconds !== undefined && seconds >= (furthest.get(key)?.seconds ?? 0)) furthest.set(key, { ...label, seconds });
    }
    return [...furthest.values()];
  }

  /** Tells of these directions only, from now on. */
  keep(directions: readonly Direction[]): void {
    const wanted = new Set(directions.map(({ source, target }) => JSON.stringify([source, target])));
    this.#kept = wanted;
    for (const [key, { isEdge }] of this.#entries) if (!isEdge && !wanted.has(key)) this.#entries.delete(key);
  }
}
