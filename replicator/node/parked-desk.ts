import type { NodeName, TableName } from "../change/names.ts";
import type { Row } from "../change/value.ts";
import type { ConflictKind } from "../change/verdict.ts";
import type { PeerRole } from "./target.ts";

/** A change that was set aside: the net of all that its sender made of the row since. */
export interface ParkedRecord {
  readonly id: bigint;
  /** Whose change it is, and what that is to this node. */
  readonly peer: NodeName;
  readonly role: PeerRole;
  readonly table: TableName;
  /** As in `Change.op`; `T` is a child's truncate. */
  readonly op: string;
  /** As the sender gave them. */
  readonly key: Row;
  readonly old: Row | null;
  readonly new: Row | null;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  /** RFC 3339, UTC. */
  readonly changedAt: string;
  readonly parkedAt: string;
  readonly triedAt: string;
}

/** A row that keeps a change from being applied. */
export interface ParkedObstacle {
  /** `taken`: this row has the value; `missing`: this row, of which only what is referred to is known, is not there; `referred`: this row refers to what is to be deleted. */
  readonly kind: "taken" | "missing" | "referred";
  readonly constraint: string;
  readonly columns: readonly string[];
  /** As the topology names it; as the database does where it is not captured. */
  readonly table: string;
  readonly row: Row;
  /** The parked change that would bring the missing row. */
  readonly parked: bigint | null;
}

export interface ParkedFilter {
  readonly peer?: NodeName;
  readonly table?: TableName;
  readonly limit: number;
  /** Only ids above it: the next page. */
  readonly after?: bigint;
}

export interface ParkedDetails {
  readonly record: ParkedRecord;
  /** The row as it is here; null when there is none. */
  readonly now: Row | null;
  /** The row as its sender has it, whole as far as this node knows it; null when the sender deleted it. */
  readonly theirs: Row | null;
  readonly obstacles: readonly ParkedObstacle[];
}

export interface Discarded {
  readonly record: ParkedRecord;
  /** What the parent is asked for; empty for a child's change. The row is stored as wanted, whoever asks first. */
  readonly wanted: readonly { readonly table: TableName; readonly key: string }[];
}

/** A change of a child that its parent has set aside, as the child is told. */
export interface RefusedChange {
  readonly table: TableName;
  readonly op: string;
  /** As the child's own changes gave it, JSON. */
  readonly key: string;
  readonly code: string;
  readonly reason: string;
  readonly parkedAt: string;
}

/** All that waits at a parent, and the oldest of it. */
export interface RefusedChanges {
  readonly total: number;
  readonly changes: readonly RefusedChange[];
}

/**
 * The changes that a node has set aside because its database, or a rule, refuses them.
 *
 * Discarding a child's change puts it into the conflict history, with its images, and sends the child the row as it is here. Discarding
 * the parent's own change, at a child, is not giving up on the row: the row is asked for anew.
 */
export interface ParkedDesk {
  /** Oldest first. */
  list(filter: ParkedFilter): Promise<readonly ParkedRecord[]>;
  /** Null when there is none of that number. */
  show(id: bigint): Promise<ParkedDetails | null>;
  /** Throws `PARKED_UNKNOWN` (usage). What refers to the row, and is parked as well, stays parked. */
  discard(id: bigint, by: { readonly who: string }): Promise<Discarded>;
  /** What a child is to be told about its changes that wait here; at most `limit` of them in full. */
  refused(peer: NodeName, limit: number): Promise<RefusedChanges>;
  /** Tables of which changes of the peer wait because they have a column that the table here, or the shape that they came with, lacks. */
  lackingColumns(peer: NodeName): Promise<readonly TableName[]>;
  /** At the child: what its parent has told. Writes only what differs. */
  noteRefused(peer: NodeName, refused: RefusedChanges): Promise<void>;
}

/** What a parked change is in the conflict history once it has been given up. */
export function kindOfRefusal(code: string): ConflictKind {
  if (code === "UNIQUE_VIOLATION" || code === "EXCLUSION_VIOLATION") return "unique";
  return code === "FOREIGN_KEY_VIOLATION" ? "foreign_key" : "check";
}

/** Why it was given up, for the history. */
export const GIVEN_UP = {
  discarded: (reason: string): string => `discarded by a person; it was parked: ${reason}`,
  superseded: (reason: string): string =>
    `while it was parked, its parent changed the row and the child went on from there; it was parked: ${reason}`,
};
