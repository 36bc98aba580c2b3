import type { SystemName } from "../plan.ts";
import type { Store } from "../stores/store.ts";

/** What replicates the benchmark's tables from one store to the other. */
export interface System {
  readonly name: SystemName;
  /** Why it cannot take part with these servers, in a few words; null when it can. Missing: it always can. */
  missing?(servers: Servers): Promise<string | null>;
  /** Installs what captures changes at the source, and nothing that moves them. */
  install(ends: Ends): Promise<Installed>;
}

/** Two Postgres servers, as a superuser sees them. */
export interface Servers {
  readonly sourceUrl: string;
  readonly targetUrl: string;
  /** The first column of the first row, at each of the two; null for none. */
  ask(sql: string): Promise<readonly (string | null)[]>;
}

/** A command that was run to its end. */
export interface CommandRun {
  readonly code: number | null;
  /** All of its output. */
  readonly printed: string;
  readonly seconds: number;
  readonly peakBytes: number | null;
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
  /** From here on what is written at the target comes to the source as well, if it did not before; missing where that cannot be. */
  bothWays?(): Promise<void>;
  /** Runs a verb of its command line to its end; missing where it has none. */
  command?(...args: readonly string[]): Promise<CommandRun>;
  /** Of the process that replicates, when there is one outside the servers. Changes with every start. */
  readonly pid: number | null;
  /** Server processes that work for it now, at both ends. */
  backends(): Promise<readonly number[]>;
  /** Size of its own log of changes at the source, with indexes; missing where there is none beside the write-ahead log. */
  logBytes?(): Promise<number>;
  /** Bytes it has sent since its process began, as it counts them itself; missing where it does not. */
  wireBytes?(): Promise<number>;
  /** Throws what it died of. */
  assertAlive(): void;
  /** Stops it and removes what would outlive the databases. */
  remove(): Promise<void>;
}
