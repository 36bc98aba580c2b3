import type { SystemName } from "../plan.ts";
import type { Store } from "../stores/store.ts";

/** What replicates the table `bench` from one store to the other. */
export interface System {
  readonly name: SystemName;
  /** Installs what captures changes at the source, and nothing that moves them. */
  install(ends: Ends): Promise<Installed>;
}

export interface Ends {
  /** Of this pair of databases; also a name for what lives in a whole server (a slot). */
  readonly name: string;
  readonly source: Store;
  readonly target: Store;
  /** For files; on the same disk as the databases. */
  readonly directory: string;
}

export interface Installed {
  /** Lets changes flow. Returns when it has been told to, not when they do. */
  start(): Promise<void>;
  /** Changes pile up at the source from here on. */
  pause(): Promise<void>;
  /** Of the process that replicates, when there is one outside the servers. Changes with every start. */
  readonly pid: number | null;
  /** Server processes that work for it now, at both ends. */
  backends(): Promise<readonly number[]>;
  /** Throws what it died of. */
  assertAlive(): void;
  /** Stops it and removes what would outlive the databases. */
  remove(): Promise<void>;
}
