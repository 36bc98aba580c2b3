import { hostname } from "node:os";
import { TomboloError } from "../change/error.ts";
import type { NodeName, Position, TableName } from "../change/names.ts";
import { processLives } from "./process-lives.ts";

/** `pull`: the child becomes a copy of its parent. `push`: the parent takes over what the child has. */
export type SyncDirection = "pull" | "push";
export type SyncPhase = "prepare" | "copy" | "apply" | "verify" | "hand_over";
/** `requested`: the other node, which is out of reach, is to begin it. `interrupted`: whoever ran it is gone; it can be resumed. */
export type RunState = "requested" | "running" | "done" | "failed" | "cancelled" | "interrupted";
/** How it can end. */
export type RunEnd = Exclude<RunState, "requested" | "running">;

/** What a person agreed to who asked a node out of reach for a full sync. */
export interface RunTerms {
  /** So many rows of a table may go at the target; where it is missing, a guard decides. */
  readonly mayRemove?: number;
  /** Before it, the two begin anew: see `beginAnew`. */
  readonly anew?: boolean;
  /** Afterwards both sides are compared. */
  readonly verify?: boolean;
}

export interface RunStart {
  /** The other node. */
  readonly peer: NodeName;
  /** What this node is in it. */
  readonly side: "source" | "target";
  readonly direction: SyncDirection;
  readonly tables: readonly TableName[];
  /** Go on with what was interrupted, where there is such a run of the same tables. */
  readonly resume: boolean;
  /** None where they are not said; a run that is taken up keeps its own. */
  readonly terms?: RunTerms;
  /** Who runs it, where that is not this process; the same is to be said to `beat` and `end`. */
  readonly holder?: string;
}

export interface FullSyncRun extends Omit<RunStart, "resume" | "holder" | "terms"> {
  readonly id: bigint;
  readonly terms: RunTerms;
  readonly state: RunState;
  readonly phase: SyncPhase;
  readonly rows: number;
  readonly bytes: number;
  readonly estimatedRows: number;
  /** How many rows differed when both sides were compared afterwards; null where they were not. */
  readonly differing: number | null;
  readonly holder: string;
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly error: string | null;
  /** How long ago it last said that it lives; missing where nobody looked. */
  readonly silentSeconds?: number;
}

export interface RunProgress {
  readonly phase: SyncPhase;
  readonly rows: number;
  readonly bytes: number;
  readonly estimatedRows: number;
  /** At the source: its log is kept from here on. */
  readonly position: Position | null;
  /** As in `FullSyncRun`, once it is known. */
  readonly differing?: number | null;
}

/** A run that does not say that it lives for this long is taken for gone. */
export const ALIVE_SECONDS = 20;
/** An interrupted run keeps its source's log no longer than this. */
export const HOLD_HOURS = 24;

/** The full syncs that a node is part of: kept in its database, so that whoever looks there knows. */
export interface FullSyncRuns {
  /**
   * Enters a run, or goes on with an interrupted one. A node is the target of one at a time: throws `FULL_SYNC_RUNS` (operator) with who runs the
   * other. Runs whose process is gone are marked interrupted. From here on a source logs for the run whatever is applied to it, too.
   */
  begin(start: RunStart): Promise<{ readonly id: bigint; readonly resumed: boolean }>;
  /** Says that it lives, and where it is. Throws `FULL_SYNC_LOST` (operator) when it is not this process's any more. */
  beat(id: bigint, progress: RunProgress, holder?: string): Promise<void>;
  /** What the run has staged is kept for as long as it can be resumed, and dropped otherwise. */
  end(id: bigint, state: RunEnd, error?: string, holder?: string): Promise<void>;
  /** Newest first. */
  list(limit: number): Promise<readonly FullSyncRun[]>;
  /** Null where there is none of that number. */
  find(id: bigint): Promise<FullSyncRun | null>;
  /** Enters what a node out of reach is to do, in place of an earlier wish: `begin` of the same side, direction and tables takes it up. Answers its id. */
  request(wish: Omit<RunStart, "resume" | "holder">, by: string): Promise<bigint>;
  /** What peers have been asked for and have not begun, one for each. */
  requested(): Promise<ReadonlyMap<NodeName, FullSyncRun>>;
  /** A wish that its peer cannot take up fails, with the reason; nothing happens to one that is none any more. */
  refuse(id: bigint, error: string): Promise<void>;
  /** Gives up a run, whoever holds it, and drops what it has staged: its process ends when it notices. Does nothing to one that has ended. */
  cancel(id: bigint): Promise<void>;
}

/** So many of the newest are part of a node's status. */
export const RUNS_IN_STATUS = 5;

/** An edge runs what it asks its hub for, through whichever process of the hub. */
export const edgeHolder = (edge: NodeName): string => `edge ${edge}`;

export const holderName = (): string => `full-sync on ${hostname()}, pid ${process.pid}`;

/** Whether the process that holds a run has ended: by its silence, or because this machine knows. */
export function isGone(holder: string, silentSeconds: number): boolean {
  if (silentSeconds > ALIVE_SECONDS) return true;
  const [, host, pid] = /^full-sync on (.*), pid (\d+)$/.exec(holder) ?? [];
  if (host !== hostname() || pid === undefined) return false;
  if (Number(pid) === process.pid) return false;
  return !processLives(Number(pid));
}

export const runsAlready = (node: NodeName, run: Pick<FullSyncRun, "holder" | "peer" | "startedAt">): TomboloError =>
  new TomboloError(`${node} is the target of a full sync with ${run.peer} already: ${run.holder}, since ${run.startedAt}`, {
    code: "FULL_SYNC_RUNS",
    kind: "operator",
    hint: "Let it end, or stop that process.",
  });

export const runLost = (): TomboloError =>
  new TomboloError("another process has taken this full sync over", {
    code: "FULL_SYNC_LOST",
    kind: "operator",
    hint: "See `tombolo status` for who runs it.",
  });

export const movedOn = (): TomboloError =>
  new TomboloError("the target has received more than the full sync holds", { code: "FULL_SYNC_MOVED", kind: "retry" });
