import type { ChannelName, NodeName, TableName } from "../change/names.ts";
import type { TableShape } from "../change/shape.ts";
import type { Detection } from "../change/verdict.ts";
import type { NodeIdentity } from "./identity.ts";

/** A table that the topology wants captured on this node. */
export interface WantedTable {
  readonly table: TableName;
  readonly channel: ChannelName;
  /** Where it is here: `schema.table` in Postgres, `table` in SQLite. */
  readonly local: string;
  readonly detect: Detection;
}

/** One thing that `apply` would do to a database. */
export interface Step {
  readonly action: "create" | "change" | "drop";
  /** e.g. `trigger tombolo_capture_insert on shop.orders`. */
  readonly object: string;
  /** Complete statements; a DBA may run them by hand instead. */
  readonly sql: string;
}

/** Something that keeps a table or a node from being replicated (`error`) or that a person should know (`warning`). */
export interface Finding {
  readonly severity: "error" | "warning" | "ok";
  readonly code: string;
  readonly table?: TableName;
  readonly message: string;
  readonly hint?: string;
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly findings: readonly Finding[];
}

/** A captured table that is no longer as it was installed: a changed column, a dropped or disabled trigger, a rebuilt table. */
export interface Drift {
  readonly table: TableName;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface NodeStatus {
  readonly identity: NodeIdentity;
  readonly logRows: number;
  readonly logBytes: number;
  readonly openConflicts: number;
  readonly parkedChanges: number;
  readonly peers: readonly PeerStatus[];
  readonly tables: readonly { readonly table: TableName; readonly state: string; readonly reason: string | null }[];
}

export interface PeerStatus {
  readonly name: NodeName;
  readonly role: "parent" | "child";
  readonly state: string;
  readonly reason: string | null;
  readonly sentPacket: bigint;
  readonly receivedPacket: bigint;
  readonly lastSyncIn: string | null;
  readonly lastSyncOut: string | null;
  readonly pendingChanges: number;
  readonly oldestPendingAt: number | null;
  readonly parkedChanges: number;
  /** Conflicts about changes of this child that wait for a person; 0 for a parent, which keeps them itself. */
  readonly openConflicts: number;
  readonly clockOffsetMs: number | null;
}

/** What the process that runs the links knows of a neighbour. */
export interface PeerNote {
  readonly name: NodeName;
  readonly pendingChanges: number;
  /** The neighbour's clock minus this node's, milliseconds; null while it is not known. */
  readonly clockOffsetMs: number | null;
}

/** Changes by operation, as the log holds them; those applied from neighbours are not among them. */
export interface CapturedCounts {
  readonly insert: number;
  readonly update: number;
  readonly delete: number;
  readonly truncate: number;
}

/** What Tombolo has put into one database. */
export interface Installation {
  /** What `apply` would do, and what keeps it from doing it. Changes nothing. Throws `DATABASE_NEWER` (newer) for a database of a newer version. */
  plan(wanted: readonly WantedTable[]): Promise<Plan>;
  /** Does what `plan` says, in as few transactions as the engine allows; idempotent, safe against concurrent callers. Refuses when there are errors. */
  apply(wanted: readonly WantedTable[]): Promise<Plan>;
  /** Removes every trace. `planUninstall` says what that is. */
  planUninstall(): Promise<Plan>;
  uninstall(): Promise<void>;
  /** Compares the captured tables with what was installed; cheap enough for every cycle. A hole is recorded with the table (`must_compare`). */
  verify(): Promise<readonly Drift[]>;
  /** Shapes of the local tables, captured or not, for `validate` and `init`. */
  inspect(): Promise<readonly TableShape[]>;
  identity(): Promise<NodeIdentity>;
  /** Settings, privileges, versions: what `doctor` shows. */
  examine(): Promise<readonly Finding[]>;
  status(): Promise<NodeStatus>;
  /** What was captured, from what no neighbour had acknowledged at the first call on. */
  captured(): Promise<CapturedCounts>;
  /** Puts it into the neighbours' rows, for those who read them by SQL. Writes only what differs; waits for no packet that is being applied. */
  notePeers(notes: readonly PeerNote[]): Promise<void>;
  setPaused(peer: NodeName, paused: boolean): Promise<void>;
}
