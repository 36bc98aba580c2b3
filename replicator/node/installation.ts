import type { ChannelName, NodeName, TableName } from "../change/names.ts";
import type { FilterForm } from "../change/row-filter.ts";
import type { TableShape } from "../change/shape.ts";
import type { ConflictRule } from "../change/verdict.ts";
import type { FullSyncRun } from "./full-sync-runs.ts";
import type { NodeIdentity } from "./identity.ts";

/** A table that the topology wants captured on this node. */
export interface WantedTable {
  readonly table: TableName;
  readonly channel: ChannelName;
  /** Where it is here: `schema.table` in Postgres, `table` in SQLite. */
  readonly local: string;
  /** Updates are logged with the whole row before and after (`detect: row`, column groups, filters), not only with what changed. */
  readonly wholeImages: boolean;
  /** How this node, as a parent, decides conflicts of the table. */
  readonly conflict: ConflictRule;
  /** Columns that do not travel: not captured, and left alone where rows come in. A node may lack them. */
  readonly exclude: readonly string[];
  /** Rows come in here from a neighbour. */
  readonly receives: boolean;
  /** Rows that are made here meet rows that are made elsewhere, so that their keys must not be the same. */
  readonly sharesKeys: boolean;
  /** Conditions in SQL by which this node, as a parent, chooses a child's rows; with `:params` and, for checking them, values for those that are known. */
  readonly filters: readonly FilterForm[];
  /** This node's new ids are to be `stride` apart and leave the remainder `slot`; null where they are as they are. */
  readonly idStride: { readonly stride: number; readonly slot: number } | null;
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
  /** Where it is about one column. */
  readonly column?: string;
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
  /** Another one whenever a conflict, a parked change, a comparison or an entry of the audit trail has been added. */
  readonly revision: string;
  readonly peers: readonly PeerStatus[];
  readonly tables: readonly { readonly table: TableName; readonly state: string; readonly reason: string | null }[];
  /** The newest full syncs that the node was part of, newest first; missing where nobody looked. */
  readonly fullSyncs?: readonly FullSyncRun[];
  /** The replication slot that the node captures from; null, or missing, where it does not. */
  readonly slot?: SlotStatus | null;
}

export interface SlotStatus {
  readonly name: string;
  /** `lost`: changes may be missing from the log. */
  readonly state: "live" | "lost";
  /** Somebody reads it now. */
  readonly active: boolean;
  /** As in pg_replication_slots; null where the slot is gone. */
  readonly walStatus: string | null;
  /** What the server keeps of its write-ahead log because of it. */
  readonly retainedBytes: number;
  /** How much more may be written before the server gives it up; null, or missing, where nothing limits it. */
  readonly safeBytes?: number | null;
  /** Transactions since the oldest whose dead catalogue rows vacuum keeps for it; null where the slot is gone. */
  readonly catalogueAge: number | null;
}

/** Parked changes that one rule refuses. */
export interface WaitingChanges {
  readonly code: string;
  readonly changes: number;
  readonly oldest: {
    /** Of the parked change; null where it is another node that keeps it. */
    readonly id: bigint | null;
    readonly table: TableName;
    /** As in `Change.op`. */
    readonly op: string;
    readonly reason: string;
    /** RFC 3339, UTC. */
    readonly parkedAt: string;
  };
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
  /** Of this node, for the peer; null until that has acknowledged anything: where it begins to read is not known before. */
  readonly pendingChanges: number | null;
  readonly oldestPendingAt: number | null;
  readonly parkedChanges: number;
  /** What of the peer's waits here, most first. */
  readonly parked: readonly WaitingChanges[];
  /** Changes of this node that wait at the peer, its parent, as the parent last told; 0 for a child. */
  readonly refusedChanges: number;
  /** The same by what refuses them, as far as they were told in full. */
  readonly refused: readonly WaitingChanges[];
  /** Conflicts about changes of this child that wait for a person; 0 for a parent, which keeps them itself. */
  readonly openConflicts: number;
  readonly clockOffsetMs: number | null;
}

/** What the process that runs the links knows of a neighbour. */
export interface PeerNote {
  readonly name: NodeName;
  /** Null where it is not known. */
  readonly pendingChanges: number | null;
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
