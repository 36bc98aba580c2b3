import type { TableName } from "../change/names.ts";
import type { ModuleRunner } from "../conflict/module-runner.ts";
import type { TableDifference } from "../node/full-copy.ts";
import type { SyncDirection } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";
import type { Sleep } from "../reconcile/settle.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import type { SyncProgress } from "./progress.ts";

export interface FullSyncOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly direction: SyncDirection;
  /** Null: all that travel in this direction. */
  readonly tables: readonly TableName[] | null;
  /** Go on with what was interrupted. */
  readonly resume: boolean;
  /** Compare both sides at the tick of the hand-over. */
  readonly verify: boolean;
  /** A SQLite target is copied first. */
  readonly backUp: boolean;
  readonly modules: ModuleRunner;
  readonly watcher: FullSyncWatcher;
  readonly signal: AbortSignal;
  /** Per cent of the time, 1 to 100, that copying and comparing may take; in between, both databases are left to their applications. */
  readonly pace?: number;
  /** Milliseconds since 1970; for tests. */
  readonly now?: () => number;
  /** Rows of a chunk; for tests. */
  readonly chunkRows?: number;
  /** How it rests; for tests. */
  readonly sleep?: Sleep;
}

/** What a full sync tells, and asks, those who started it. */
export interface FullSyncWatcher {
  progress(progress: SyncProgress): void;
  note(text: string): void;
  /** Once everything is there, before anything is changed. False cancels. */
  goAhead(differences: readonly TableDifference[]): Promise<boolean>;
}
