import type { FullSyncRun } from "../node/full-sync-runs.ts";

/** A full sync as the status of its target has it. */
export interface FullSyncReport {
  readonly source: string;
  readonly direction: "pull" | "push";
  /** `running`, `done`, `failed`, `cancelled` or `interrupted`; `running` of a process that has ended is found out by the next run. */
  readonly state: string;
  readonly phase: string;
  readonly rows: number;
  readonly estimated_rows: number;
  /** How many rows differed when both sides were compared afterwards; null where they were not. */
  readonly differing: number | null;
  readonly bytes: number;
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly holder: string;
  readonly error: string | null;
}

/** `source`: where it is not the peer of whoever keeps the run. */
export const fullSyncReport = (run: FullSyncRun | undefined, source: string | undefined = run?.peer): FullSyncReport | null =>
  run === undefined || source === undefined
    ? null
    : {
        ...{ source, direction: run.direction, state: run.state, phase: run.phase, rows: run.rows },
        ...{ estimated_rows: run.estimatedRows, differing: run.differing, bytes: run.bytes },
        ...{ started_at: run.startedAt, finished_at: run.finishedAt, holder: run.holder, error: run.error },
      };
