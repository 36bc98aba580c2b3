import type { NodeName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";

/**
 * The loop over one parent and one child: up, then down, channels in order of priority.
 * `sync` and `run` exclude each other on one Link object; across processes the packet numbers keep them apart.
 */
export interface Link {
  readonly parent: NodeName;
  readonly child: NodeName;
  /** Rounds until nothing is pending in either direction; throws the first error. */
  sync(signal: AbortSignal): Promise<LinkCounts>;
  /** Rounds for ever: waits for news, backs off when a database is away, returns when the signal aborts (after the batch in hand). */
  run(signal: AbortSignal): Promise<void>;
  /** Tries parked changes of both sides now, or only these (by the node that keeps them); answers how many went through. May be called beside `run`. */
  retryParked(only?: { readonly parent: readonly bigint[]; readonly child: readonly bigint[] }): Promise<number>;
}

/** What moved, as seen from the child: `sent` went up, `received` came down. Changes that took effect or were judged. */
export interface LinkCounts {
  readonly sent: number;
  readonly received: number;
  /** Conflicts resolved, in either direction. */
  readonly conflicts: number;
  readonly parked: number;
}

/** What a link tells those who watch it (metrics, logs, status). Calls must not throw and must be cheap. */
export interface LinkObserver {
  /** One packet was applied at the target, or was found to be applied already. */
  applied(event: AppliedEvent): void;
  /** The link found nothing pending in this direction at `at` (ms since 1970, this process's clock). */
  caughtUp(event: { readonly source: NodeName; readonly target: NodeName; readonly at: number }): void;
  /** A round failed; the link tries again in `retryInMs`, or never by itself when null (a person must act). */
  failed(event: {
    readonly parent: NodeName;
    readonly child: NodeName;
    readonly error: unknown;
    readonly retryInMs: number | null;
    readonly attempt: number;
  }): void;
  /** A round went through after one or more that failed. */
  recovered(event: { readonly parent: NodeName; readonly child: NodeName }): void;
  /** Something a person should know, once per occurrence: a drifted table, a fill that starts or ends, a parked change that went through. */
  notice(event: {
    readonly level: "info" | "warn";
    readonly code: string;
    readonly message: string;
    readonly source: NodeName;
    readonly target: NodeName;
    readonly table?: string;
  }): void;
}

export interface AppliedEvent {
  readonly source: NodeName;
  readonly target: NodeName;
  readonly parent: NodeName;
  readonly child: NodeName;
  readonly kind: "changes" | "fill";
  readonly receipt: Receipt;
  /** Bytes of the packet's body before and after compression. */
  readonly rawBytes: number;
  readonly compressedBytes: number;
  readonly applySeconds: number;
  /** Changes in a part, at most, from now on; null where it is another process that cuts them. */
  readonly partChanges: number | null;
  /** Commit of the oldest change in the packet at the source to commit at the target, corrected by the clocks; null in a fill. */
  readonly lagSeconds: number | null;
}
