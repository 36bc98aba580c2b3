import type { CopyRows } from "../change/copy-text.ts";
import type { Position, ScopeNumber, TableName } from "../change/names.ts";
import type { PacketHeader, Receipt } from "../change/packet.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { TableShape } from "../change/shape.ts";
import type { Tick } from "./change-log.ts";
import type { FullSyncRuns } from "./full-sync-runs.ts";
import type { ApplyContext } from "./target.ts";

/** A table of a full sync as its source has it. */
export interface CopiedTable {
  readonly shape: TableShape;
  /** Those rows that travel; null for all. */
  readonly rows: RowFilter | null;
}

/** A stretch of a table in the order of its key. */
export interface CopyChunk {
  readonly rows: CopyRows;
  /** Where the next one begins (exclusive), meaningful to the source alone; null when this is the last. */
  readonly upTo: string | null;
}

/** What has changed of a table: keys, and the rows that there are now under them, as far as the table was copied. Each to be read once, the keys first. */
export interface CopyChanges {
  readonly table: TableName;
  keys(): CopyRows;
  rows(): CopyRows;
}

/**
 * Tables at one tick, read in chunks. Writers are not held up. A chunk must be read to its end before anything else is asked.
 */
export interface CopySnapshot {
  readonly tick: Tick;
  /** About how many rows. */
  estimate(table: CopiedTable): Promise<number>;
  /** The rows after a key that an earlier chunk, of this snapshot or another, ended with; from the first on where it is null. */
  chunk(table: CopiedTable, after: string | null, maxRows: number): Promise<CopyChunk>;
  /**
   * What changed after an earlier tick, whoever changed it; null when the log does not tell: it was purged, or the table was truncated. Of a table
   * that has come to `soFar` only: a row beyond that comes with its chunk.
   */
  changed(table: CopiedTable, since: Position, soFar: Pick<Staged, "upTo" | "done">): Promise<CopyChanges | null>;
  close(): Promise<void>;
}

/** How a Postgres sends its rows to another: as it prints them, or as its types send them. */
export type CopyForm = "text" | "binary";

/** A snapshot of a database that this process has opened. */
export interface NearSnapshot extends CopySnapshot {
  /** About how many bytes the tables take there; never far too few. */
  size(tables: readonly CopiedTable[]): Promise<number>;
  /** All rows of a table that travel, in no order. Only a Postgres has them in binary. */
  all(table: CopiedTable, form: CopyForm): CopyRows;
}

/** How far a table has come. */
export interface Staged {
  readonly upTo: string | null;
  readonly done: boolean;
  readonly rows: number;
  readonly bytes: number;
}

/** What a hand-over would do to a table. */
export interface TableDifference {
  readonly table: TableName;
  /** Rows that come, rows that become others, and rows that only the target has. */
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** Rows that the target has changed and the source has not seen: those changes stay. */
  readonly kept: number;
}

export interface HandOver {
  readonly header: PacketHeader;
  readonly context: ApplyContext;
  /** Of a table of which only some rows are the source's: the others are left alone. */
  readonly within: ReadonlyMap<TableName, RowFilter>;
  /** The scopes whose rows the target has then; see `PacketHeader.scopes`. */
  readonly scopes: ReadonlyMap<TableName, ScopeNumber>;
  /** Tables of which rows that only the target has may be another's: they stay. */
  readonly collected?: ReadonlySet<TableName>;
}

/**
 * Where the rows of a full sync wait until all of them are there. Nothing of it is seen in the tables themselves before `handOver`.
 */
export interface CopyStage {
  /** The tick that everything staged is of; null before the first. */
  readonly position: Position | null;
  readonly progress: ReadonlyMap<TableName, Staged>;

  /** Adds a chunk: one transaction, with how far the table is. Throws `FULL_SYNC_LOST` (operator) when the run is another process's now, or has got further by another. */
  add(table: TableName, chunk: CopyChunk): Promise<Staged>;

  /** Takes everything staged over to a later tick: one transaction. Tables that are started anew lose what they have. */
  renew(at: Position, changes: readonly CopyChanges[], anew?: readonly TableName[]): Promise<void>;

  compare(handOver: HandOver): Promise<readonly TableDifference[]>;

  /**
   * Makes the tables what is staged, in one transaction, as a packet of the source that fills them: number, hash chain and positions as in
   * `Target.apply`. What this node has changed itself and the source has not seen stays. Rows that go, and rows that become others, are kept in the
   * conflict history. What the database refuses is parked. Throws `PACKET_GAP` or `PACKET_FORK` when another packet came between, and `FULL_SYNC_MOVED` (retry) when
   * the node has received more than is staged.
   */
  handOver(handOver: HandOver): Promise<Receipt>;

  /** What is staged is kept for a later attempt, or dropped. */
  close(what: "keep" | "drop"): Promise<void>;
}

/** What a fill is made of. */
export interface Fill {
  readonly run: bigint;
  readonly tables: readonly CopiedTable[];
  readonly handOver: HandOver;
  /** Of the tick of the hand-over. */
  readonly source: Pick<NearSnapshot, "all">;
  /** Told of every piece; what it throws ends the fill, with nothing done. */
  readonly onBytes: (bytes: number) => void;
  /** Asked once the rows are in, before anything of it is committed. */
  readonly agreed: (differences: readonly TableDifference[]) => Promise<boolean>;
}

/** `declined`: by whoever was asked. `unsuited`: a table has rows, or changes that the source has not seen, or the database refused a row. Either way nothing was done. */
export type Filled = Receipt | "declined" | "unsuited";

/** Fills tables that are empty straight from a source that is near: one transaction for the copy and the hand-over, and nothing is written twice. */
export interface Filler {
  /** What the writers of the tables can be expected to wait for. */
  readonly most: { readonly bytes: number; readonly ms: number };
  /** Whether the tables have no row, as far as can be told without a lock. */
  areEmpty(tables: readonly TableName[]): Promise<boolean>;
  /** What breaks it off has done nothing. Throws what `CopyStage.handOver` throws. */
  fill(fill: Fill): Promise<Filled>;
}

/** A node as the source and as the target of full syncs. */
export interface FullCopy {
  readonly runs: FullSyncRuns;
  /** Not there where the node is far. */
  readonly filler?: Filler;
  /** Takes a tick. */
  open(tables: readonly CopiedTable[]): Promise<NearSnapshot>;
  /** What an earlier attempt of the run has staged is there again. `holder` as in `RunStart`. */
  stage(run: bigint, tables: readonly CopiedTable[], holder?: string): Promise<CopyStage>;
  /** A copy of the database as it is now, for going back; null where that is not a file. Answers its path. */
  backUp(): Promise<string | null>;
}

/** The header of the packet that a hand-over is to its target: of the rows as they are there, so that the shapes are its own. */
export function handOverHeader({ header, scopes }: HandOver, shapes: readonly TableShape[]): PacketHeader {
  return { ...header, tables: shapes, ...(scopes.size > 0 && { scopes: shapes.map(({ table }) => scopes.get(table) ?? null) }) };
}
