/** `held_back`: a summary was entered in its place. */
export type NotificationState = "waiting" | "sent" | "held_back" | "dropped";

/** An event for one target. Moments are ms since 1970, by the clock of the process that sends. */
export interface NewNotification {
  readonly target: string;
  readonly eventId: string;
  /** JSON. */
  readonly event: string;
  readonly at: number;
}

export interface WaitingNotification extends NewNotification {
  readonly id: bigint;
  readonly attempts: number;
  /** Not to be tried before; null for at once. */
  readonly nextAt: number | null;
  readonly lastError: string | null;
}

/** What became of a try, or of waiting. */
export interface NotificationOutcome {
  readonly id: bigint;
  readonly state: NotificationState;
  readonly attempts: number;
  readonly nextAt: number | null;
  readonly at: number;
  readonly error: string | null;
}

/** Done as a whole or not at all. */
export interface NotificationWork {
  readonly lower?: string;
  /** After `lower`. What comes next is only done where this level was not up. */
  readonly raise?: { readonly name: string; readonly at: number };
  /** What the target has been given before is not entered again. */
  readonly enter?: readonly NewNotification[];
  readonly settle?: readonly NotificationOutcome[];
}

/**
 * What targets of notifications are to be told, kept in the topology's hub until they have been: a process that ends between two lines loses nothing.
 * What was sent and not settled is sent again, under the same id.
 */
export interface NotificationDesk {
  write(work: NotificationWork): Promise<void>;
  /** Levels that are up, and since when. */
  levels(): Promise<ReadonlyMap<string, number>>;
  /** Oldest first. */
  waiting(): Promise<readonly WaitingNotification[]>;
  /** How many the target has been sent since a moment. */
  sentSince(target: string, since: number): Promise<number>;
  /** Forgets what was settled before a moment. */
  forget(before: number): Promise<void>;
}

/** More than anybody reads; the others have their turn after these. */
export const MOST_WAITING = 5_000;
