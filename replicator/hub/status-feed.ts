import type { Timers } from "../lifecycle/timers.ts";
import type { StatusReport } from "../observability/status-report.ts";

/** What of a status an event tells: states and counts, not moments, so that nothing is told while nothing happens. */
export interface StatusEvent {
  readonly nodes: readonly {
    readonly name: string;
    readonly state: string;
    readonly conflicts_open: number | null;
    readonly parked_changes: number | null;
    readonly revision: string | null;
  }[];
  readonly links: readonly { readonly parent: string; readonly child: string; readonly state: string }[];
  readonly edges: readonly { readonly edge: string; readonly parent: string; readonly state: string }[];
}

const LOOK_EVERY_MS = 2_000;

export interface StatusFeedOptions {
  /** Never throws. */
  readonly look: () => Promise<StatusReport>;
  readonly timers: Timers;
  readonly closing: AbortSignal;
}

type Listener = (event: StatusEvent) => void;

/**
 * Tells those who listen when the state of a node, a link or an edge, or a count of what waits for a person, has changed. One look serves all of them; nobody
 * looks while nobody listens.
 */
export class StatusFeed {
  readonly #options: StatusFeedOptions;
  readonly #listeners = new Set<Listener>();
  #last: { readonly text: string; readonly event: StatusEvent } | null = null;
  #running = false;

  constructor(options: StatusFeedOptions) {
    this.#options = options;
  }

  /** Called soon with how it is, then with every change. Answers what ends it. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#last !== null) listener(this.#last.event);
    if (!this.#running) void this.#run();
    return () => this.#listeners.delete(listener);
  }

  async #run(): Promise<void> {
    const { look, timers, closing } = this.#options;
    this.#running = true;
    while (this.#listeners.size > 0 && !closing.aborted) {
      // what cannot be asked is part of the report
      const event = eventOf(await look());
      const text = JSON.stringify(event);
      if (text !== this.#last?.text) {
        this.#last = { text, event };
        for (const listener of this.#listeners) listener(event);
      }
      await timers.sleep(LOOK_EVERY_MS, closing);
    }
    this.#running = false;
    this.#last = null;
  }
}

const eventOf = ({ nodes, links, edges }: StatusReport): StatusEvent => ({
  nodes: nodes.map(({ name, state, conflicts_open, parked_changes, revision }) => ({
    name,
    state,
    conflicts_open,
    parked_changes,
    revision,
  })),
  links: links.map(({ parent, child, state }) => ({ parent, child, state })),
  edges: edges.map(({ edge, parent, state }) => ({ edge, parent, state })),
});
