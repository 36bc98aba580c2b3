import type { NodeName } from "../change/names.ts";
import { type FullSyncRun, isGone, type RunStart, runsAlready } from "./full-sync-runs.ts";

/** A run as it is stored, with how long ago it said that it lives. */
export type StoredRun = FullSyncRun & { readonly silentSeconds: number };

/** What becomes of the runs that there are when another begins. */
export interface Beginning {
  /** Those whose process is gone. */
  readonly interrupted: readonly bigint[];
  /** Interrupted runs that nobody goes on with: what they have staged goes. */
  readonly dropped: readonly bigint[];
  /** Requests that are not taken up. */
  readonly cancelled: readonly bigint[];
  /** The run that this one is: interrupted, or requested; null for a new one. */
  readonly taken: bigint | null;
  readonly resumed: boolean;
}

/** `open`: running and interrupted runs, newest first. `requested`: of the same peer. Throws `FULL_SYNC_RUNS` (operator). */
export function beginning(
  node: NodeName,
  start: RunStart,
  { open, requested }: { readonly open: readonly StoredRun[]; readonly requested: readonly FullSyncRun[] },
): Beginning {
  // an edge that begins again is the one that ran it
  const gone = open.filter(
    ({ state, holder, silentSeconds }) => state === "running" && (holder === start.holder || isGone(holder, silentSeconds)),
  );
  const runs = open.find((run) => run.state === "running" && !gone.includes(run) && run.side === "target");
  if (runs !== undefined && start.side === "target") throw runsAlready(node, runs);
  const left = open.filter(
    (run) => run.side === start.side && run.peer === start.peer && (run.state === "interrupted" || gone.includes(run)),
  );
  const known = start.resume ? left.find((run) => isSameRun(run, start)) : undefined;
  const asked = requested.find((run) => run.side === start.side && isSameRun(run, start));
  return {
    interrupted: gone.map(({ id }) => id),
    dropped: left.filter((run) => run !== known).map(({ id }) => id),
    cancelled: known === undefined || asked === undefined ? [] : [asked.id],
    taken: known?.id ?? asked?.id ?? null,
    resumed: known !== undefined,
  };
}

/** Of the same tables, in the same direction. */
export const isSameRun = (run: FullSyncRun, start: Pick<RunStart, "direction" | "tables">): boolean =>
  run.direction === start.direction && [...run.tables].sort().join("\n") === [...start.tables].sort().join("\n");
