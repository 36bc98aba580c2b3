import type { NodeName } from "../change/names.ts";
import type { Engine } from "../change/shape.ts";
import type { AuditTrail } from "./audit-trail.ts";
import type { ChangeLog } from "./change-log.ts";
import type { CompareHolds } from "./compare-holds.ts";
import type { ConflictDesk } from "./conflict-desk.ts";
import type { Digests } from "./digest.ts";
import type { FullCopy } from "./full-copy.ts";
import type { Installation } from "./installation.ts";
import type { MediumDesk } from "./medium-desk.ts";
import type { NotificationDesk } from "./notification-desk.ts";
import type { ParkedDesk } from "./parked-desk.ts";
import type { ReconcileDesk } from "./reconcile-desk.ts";
import type { Rejoin } from "./rejoin.ts";
import type { Repairs } from "./repairs.ts";
import type { Scopes } from "./scopes.ts";
import type { SentPackets } from "./sent-packets.ts";
import type { TableColumns } from "./table-columns.ts";
import type { TableReader } from "./table-reader.ts";
import type { Target } from "./target.ts";
import type { TokenDesk } from "./token-desk.ts";

/**
 * A database that holds replicated tables, behind one interface: a Postgres, a SQLite file, later a hub behind HTTP.
 * A link joins two of these and does not know which kind it holds.
 *
 * All methods of all parts may be called concurrently unless they say otherwise; every promise they make is kept in the
 * database, so that the process may die at any line.
 */
export interface Node {
  readonly name: NodeName;
  readonly engine: Engine;
  /** What a reader of this node's changes uses. */
  readonly log: ChangeLog;
  /** Whole tables at a position, for a fill. */
  readonly tables: TableReader;
  /** What two nodes compare instead of rows. */
  readonly digests: Digests;
  /** What a writer of changes to this node uses. */
  readonly target: Target;
  /** What a person who looks at conflicts uses. */
  readonly conflicts: ConflictDesk;
  /** Which rows this node's children are given. */
  readonly scopes: Scopes;
  /** What was handed on to neighbours out of reach. */
  readonly sent: SentPackets;
  /** Changes that were set aside. */
  readonly parked: ParkedDesk;
  /** Who may do what over HTTP; of the topology's hub only. */
  readonly tokens: TokenDesk;
  /** What travels on files. */
  readonly media: MediumDesk;
  /** Who did what. */
  readonly audit: AuditTrail;
  /** Whom to tell what; of the topology's hub only. */
  readonly notifications: NotificationDesk;
  /** What is kept of comparisons with neighbours. */
  readonly reconciles: ReconcileDesk;
  /** From where on the log is kept for comparisons of what has changed. */
  readonly compareHolds: CompareHolds;
  /** How rows that differ are brought together again. */
  readonly repairs: Repairs;
  /** The columns of the application's tables. */
  readonly columns: TableColumns;
  /** The node as the source and as the target of full syncs. */
  readonly copies: FullCopy;
  /** How it and a neighbour begin anew. */
  readonly rejoin: Rejoin;
  /** What Tombolo has put into the database, and what it would. */
  readonly installation: Installation;
  /** Whether its address names another database than the one that is open: another file was put in its place. It is closed then, and opened anew. */
  isReplaced(): boolean;

  close(): Promise<void>;
}
