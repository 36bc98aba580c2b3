import { hostname } from "node:os";
import type { Timers } from "./timers.ts";

/**
 * Who replicates a topology. The lease lives in the hub and belongs to a session there (an advisory lock, a lock on a file): it ends by itself with
 * its process. Where the hub is a Postgres several processes may `run` beside each other and share the links; everything else excludes them and is excluded.
 */
export interface LeaseStore {
  /** Takes the lease if nobody has it. Throws (kind `connect`) when the hub cannot be reached. */
  take(purpose: Purpose): Promise<LeaseHold | LeaseHolder>;
}

/** What the lease is wanted for: `run` keeps it for long, the others for moments. */
export type Purpose = "run" | "sync" | "uninstall";

export interface LeaseHold {
  readonly held: true;
  /** Aborts when the session that holds the lease is gone: then somebody else may have it, and the shares. */
  readonly lost: AbortSignal;
  readonly shares: Shares;
  release(): Promise<void>;
  /** Releases it and leaves nothing behind in the hub's place. */
  remove(): Promise<void>;
}

/** What only one at a time of the processes does that run a topology. */
export interface Shares {
  /** How many processes run the topology now, this one included. Those that have not given a sign for long are put out, and lose what they hold. */
  members(): Promise<number>;
  /** Takes a share that nobody has; else answers who has it. */
  claim(name: string): Promise<true | LeaseHolder>;
  /** Leaves it to whoever wants it. */
  yield(name: string): Promise<void>;
}

export interface LeaseHolder {
  readonly held: false;
  /** Who has it, for people: `run on host-a, pid 1234, since 2026-01-31T12:00:00Z`. */
  readonly holder: string;
  readonly isRun: boolean;
}

/** How this process names itself to those who wait for it. */
export const leaseName = (purpose: Purpose): string => `${purpose} on ${hostname()}, pid ${process.pid}`;
export const isRunName = (name: string): boolean => name.startsWith("run on ");

const POLL_MS = 500;

export interface AcquireOptions {
  readonly purpose: Purpose;
  readonly timers: Timers;
  /** Called when the holder is another one than at the last attempt. */
  readonly onWait: (holder: LeaseHolder) => void;
  /** Called when the hub cannot be reached; the lease is tried again. */
  readonly onError: (error: unknown, attempt: number) => void;
  /** Answers the holder instead of waiting for it when true. */
  readonly stopWhenHeld?: boolean;
}

/** Tries until it has the lease; null when the signal aborts first (or somebody has it and `stopWhenHeld`). */
export async function acquireLease(store: LeaseStore, signal: AbortSignal, options: AcquireOptions): Promise<LeaseHold | null> {
  let holder: string | null = null;
  for (let attempt = 1; !signal.aborted; ) {
    try {
      const answer = await store.take(options.purpose);
      if (answer.held) {
        if (!signal.aborted) return answer;
        await answer.release();
        return null;
      }
      attempt = 1;
      if (answer.holder !== holder) options.onWait(answer);
      holder = answer.holder;
      if (options.stopWhenHeld) return null;
    } catch (error) {
      options.onError(error, attempt++);
    }
    await options.timers.sleep(POLL_MS * (0.75 + options.timers.random() / 2), signal);
  }
  return null;
}
