import { type NodeName, nodeName, type TableName } from "../change/names.ts";
import type { KeyText } from "./digest.ts";

/** How a comparison ended: `drift` left differences, `stopped` asked for a person first, `failed` did not get through. */
export type ReconcileOutcome = "clean" | "repaired" | "drift" | "stopped" | "failed";
export const RECONCILE_OUTCOMES: readonly ReconcileOutcome[] = ["clean", "repaired", "drift", "stopped", "failed"];

/** What a run is to look at: all rows, or those that have changed since the last run that came to an end with them. */
export type ReconcileScope = "all" | "changed";

/** Why all rows of a table were compared although its changes were asked for. */
export const WHOLE_REASONS = ["first", "log_not_kept", "filled_anew", "must_compare", "altered", "emptied", "too_many"] as const;
export type WholeReason = (typeof WHOLE_REASONS)[number];

/** What one run found in one table. */
export interface ReconcileRunTable {
  readonly table: TableName;
  readonly compared: number;
  readonly differing: number;
  readonly repaired: number;
  /** Rows that news were under way of; rows that a change is parked of. */
  readonly unsettled: number;
  readonly parked: number;
  /** Keys of some rows that differ. */
  readonly examples: readonly KeyText[];
  readonly scope: ReconcileScope;
  /** Why `scope` is `all` in a run of what has changed. */
  readonly whole: WholeReason | null;
  /** Why it was not compared, or not repaired: a code of docs/errors.md. */
  readonly error: string | null;
}

/** A comparison with one child, as its parent keeps it. */
export interface ReconcileRun {
  readonly id: bigint;
  /** Of the schedule; `manual` where a person asked for it. */
  readonly name: string;
  readonly peer: NodeName;
  readonly repair: string;
  readonly scope: ReconcileScope;
  /** `requested`: the peer, which is out of reach, is to begin it. `cancelled`: given up, before that or while the peer ran it. */
  readonly state: ReconcileOutcome | "running" | "requested" | "cancelled";
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly tables: readonly ReconcileRunTable[];
  readonly error: string | null;
}

/** What a node keeps of comparisons. */
export interface ReconcileDesk {
  /** Answers the number of the run. Earlier ones of the same name and peer that never ended are marked as failed, and only the newest are kept. */
  begin(run: {
    readonly name: string;
    readonly peer: NodeName;
    readonly repair: string;
    /** Missing: all. */
    readonly scope?: ReconcileScope;
    /** The wish that it takes up. */
    readonly asked?: bigint;
  }): Promise<bigint>;
  /** Enters what a peer out of reach is to do, in place of an earlier wish of the name, until `begin` takes it up. Answers its number. */
  request(run: {
    readonly name: string;
    readonly peer: NodeName;
    readonly repair: string;
    readonly scope?: ReconcileScope;
  }): Promise<bigint>;
  /** What peers have been asked for and have not begun: of each, what it was asked for first. */
  requested(): Promise<ReadonlyMap<NodeName, ReconcileRun>>;
  /** Null where there is none of that number. */
  find(id: bigint): Promise<ReconcileRun | null>;
  /** Gives up a run that has not ended, or was not begun: its peer ends when it notices. Does nothing to one that has ended. */
  cancel(id: bigint): Promise<void>;
  /** `peer`: only where it is a run with this peer. One that was cancelled stays so. */
  finish(
    id: bigint,
    run: {
      readonly state: ReconcileOutcome;
      readonly tables: readonly ReconcileRunTable[];
      readonly error: string | null;
      readonly peer?: NodeName;
    },
  ): Promise<void>;
  /** Newest first. `endedSince`: only those that have ended after that moment, ms since 1970. */
  runs(filter: { readonly name?: string; readonly endedSince?: number; readonly limit: number }): Promise<readonly ReconcileRun[]>;
  /** These tables are equal to their neighbours' again: the mark `must_compare` goes, unless there is a newer reason for it. */
  compared(tables: readonly { readonly table: TableName; readonly reason: string | null }[]): Promise<void>;
}

/** Of one name and peer: a schedule that comes due every minute fills no disk. */
export const RUNS_KEPT = 1_000;

/** What keeps a run that never ended from looking as if it went on. */
export const NEVER_ENDED = "it never ended: its process was stopped";

/** A row of `reconcile_run`, its tables as text. */
export interface StoredReconcileRun {
  readonly id: bigint | string;
  readonly name: string;
  readonly peer: string;
  readonly repair: string;
  readonly scope: ReconcileScope;
  readonly state: ReconcileRun["state"];
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly tables: string;
  readonly error: string | null;
}

export const reconcileRunOf = ({ id, peer, started_at, finished_at, tables, ...run }: StoredReconcileRun): ReconcileRun => ({
  ...run,
  id: BigInt(id),
  peer: nodeName(peer),
  startedAt: started_at,
  finishedAt: finished_at,
  tables: readTables(tables),
});

export function totals(tables: readonly ReconcileRunTable[]): { compared: number; differing: number; repaired: number } {
  const sum = (of: (table: ReconcileRunTable) => number): number => tables.reduce((total, table) => total + of(table), 0);
  return { compared: sum((table) => table.compared), differing: sum((table) => table.differing), repaired: sum((table) => table.repaired) };
}

/** As `reconcile_run.tables` holds them: JSON in the terms of SQL, without what the JSON of Postgres does not take. */
export function storedTables(tables: readonly ReconcileRunTable[]): string {
  const shown = (key: KeyText): (string | null)[] =>
    (JSON.parse(key) as (string | null)[]).map((text) => text?.replaceAll("\u0000", "").toWellFormed() ?? null);
  return JSON.stringify(tables.map(({ examples, ...table }) => ({ ...table, examples: examples.map(shown) })));
}

const readTables = (stored: string): ReconcileRunTable[] =>
  (JSON.parse(stored) as (Omit<ReconcileRunTable, "examples"> & { examples: unknown[] })[]).map((table) => ({
    // of an older version
    ...{ scope: "all", whole: null },
    ...table,
    examples: table.examples.map((key) => JSON.stringify(key)),
  }));
