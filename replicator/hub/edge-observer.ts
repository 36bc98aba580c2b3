import type { NodeName } from "../change/names.ts";
import type { AppliedEvent, LinkObserver } from "../link/link.ts";
import type { LagBook } from "../observability/lag.ts";
import { createLinkObserver } from "../observability/link-observer.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";

export interface EdgeObserverOptions {
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly log: Logger;
  readonly now: () => number;
  readonly parent: NodeName;
  readonly edge: NodeName;
  readonly group: string;
}

/** What is handed on and not confirmed: an edge has some packets on their way at once, not more. */
const MOST_HANDED_ON = 1_000;

/**
 * Metrics, lag and log lines of the packets between the hub and one edge. What goes down is handed on, and counts when the edge has said that it has it; to a
 * service that never hears that, because the edge then spoke to another one, it does not count.
 */
export class EdgeObserver {
  readonly #options: EdgeObserverOptions;
  readonly #told: LinkObserver;
  readonly #handedOn = new Map<bigint, AppliedEvent & { readonly at: number }>();

  constructor(options: EdgeObserverOptions) {
    const { edge, group } = options;
    this.#options = options;
    this.#told = createLinkObserver({ ...options, label: (node) => (node === edge ? group : node) });
  }

  /** For the hub's end of the link, as `observer`. */
  get down(): LinkObserver {
    const { parent, edge, now } = this.#options;
    return {
      ...this.#told,
      applied: (event) => {
        const at = now();
        const number: bigint = event.receipt.number;
        // one that got lost is made anew under its number
        this.#handedOn.set(number, { ...event, at });
        for (const oldest of this.#handedOn.keys()) {
          if (this.#handedOn.size <= MOST_HANDED_ON) break;
          this.#handedOn.delete(oldest);
        }
        if (event.lagSeconds !== null) this.#lag(parent, edge).pending(at - event.lagSeconds * 1000, at, 0);
      },
    };
  }

  /** As `received`. */
  up(event: AppliedEvent): void {
    this.#told.applied(event);
  }

  /** All that the edge had to bring is here. */
  broughtAll(): void {
    const { parent, edge, now } = this.#options;
    this.#told.caughtUp({ source: edge, target: parent, at: now() });
  }

  /** The edge says that it has all packets up to this one. */
  confirmed(number: bigint): void {
    for (const [each, { at, ...event }] of this.#handedOn) {
      if (each > number) continue;
      this.#handedOn.delete(each);
      const waited = (this.#options.now() - at) / 1000;
      this.#told.applied({ ...event, lagSeconds: event.lagSeconds === null ? null : event.lagSeconds + waited });
    }
  }

  #lag(source: NodeName, target: NodeName): ReturnType<LagBook["of"]> {
    const { lag, edge, group } = this.#options;
    const label = (node: NodeName): string => (node === edge ? group : node);
    return lag.of(source, target, { source: label(source), target: label(target) });
  }
}
