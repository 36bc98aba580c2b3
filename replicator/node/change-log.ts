import type { Change } from "../change/change.ts";
import type { ChannelName, NodeName, PacketNumber, Position, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { TableShape } from "../change/shape.ts";
import type { RowText } from "../change/value.ts";
import type { LeftBehind, Retention } from "./retention.ts";

/** A sealed cut of a change log. Everything up to it survives a crash of the database. */
export interface Tick {
  readonly position: Position;
  /** Tells it from a tick of the same number in another life of the database, after that was put back to a copy; opaque. Missing where only the position is known. */
  readonly sealedAs?: string;
  /** Per peer and channel: how much of the peer's log this node had applied at the cut (see `PacketHeader.seen`). */
  readonly seen: { readonly [peer: string]: { readonly [channel: string]: Position } };
}

/** As a packet's header says it. */
export const sealedAsOf = ({ sealedAs }: Tick): Pick<Tick, "sealedAs"> => (sealedAs === undefined ? {} : { sealedAs });

export interface TickOptions {
  /**
   * Where commits come into the log a little later (`capture: slot`), the tick need not wait for them. It is a cut all the same, at an
   * earlier moment, with the `seen` of that moment.
   */
  readonly lagging?: boolean;
  /**
   * With `lagging`: the position that the caller has read up to. A tick beyond it that another reader made a few milliseconds ago will do, so that
   * many readers stand at the same positions and can share what is read between them.
   */
  readonly after?: Position;
  /**
   * With `lagging`: for a caller who waits for news from there on, a tick so many milliseconds old will do, at `after` or beyond it. A thousand who come
   * one after the other need not each look for themselves.
   */
  readonly oldMs?: number;
}

/** What a reader waits for: changes of these tables, and what is meant for it alone. */
export interface NewsOf {
  readonly reader: NodeName;
  readonly tables: ReadonlySet<TableName>;
  /** The rows that it is given of a table, where that is not all: as in `ReadRequest`. */
  readonly filters?: ReadonlyMap<TableName, RowFilter>;
}

export interface ReadRequest {
  /**
   * Who reads: what came from this peer is left out (no echo), refreshes meant for it are put in.
   *
   * A reader's own changes never come back, although another's change that its own has since replaced may then be the last that it
   * hears: a child recognises that case and asks for the row (see `Target.apply`; `test/unit/judge-simulation.test.ts` shows the need and the cure).
   *
   * Null is nobody in particular: whatever changed here, whoever it came from.
   */
  readonly reader: NodeName | null;
  readonly tables: readonly TableName[];
  /** Exclusive. */
  readonly after: Position;
  /** Inclusive; the position of a tick. */
  readonly upTo: Position;
  /** A group never holds more than this. */
  readonly maxRows: number;
  readonly maxBytes: number;
  /** The rows that the reader is given of a table, where that is not all: see `scopedOp` for what it hears of the others. */
  readonly filters?: ReadonlyMap<TableName, RowFilter>;
}

/** Readings of a log since its node was opened: those that were made, and those that a reader was spared because another had made them. */
export interface ReadCounts {
  readonly made: number;
  readonly spared: number;
}

export interface AcknowledgeOptions {
  /** False where somebody waits for the end of the process, and so for the purge; whoever acknowledges next does it. */
  readonly purge?: boolean;
  /**
   * What the caller acknowledged last, 0 for nothing. Where less than that is known by now, or the two are about to begin anew, nothing is noted, and `PACKET_GAP`
   * (retry) is thrown: what is acknowledged is of the time before.
   */
  readonly since?: PacketNumber;
  /**
   * Up to where the log was read for this. Where it ends before that, or has another tick of that number, nothing is noted, and `DATABASE_PUT_BACK` (retry) is thrown: what
   * is acknowledged was read in a life of the database that is over, and noted, it would hide that from `mustNotBeRewound`.
   */
  readonly read?: Pick<Tick, "position" | "sealedAs">;
}

/** The change log of one node, as its readers see it. */
export interface ChangeLog {
  readonly reads: ReadCounts;
  /** How often the database was found to have been put back to a copy since it was opened: what is remembered of its neighbours is then of another life. */
  readonly lives: number;

  /**
   * Seals what has been committed and answers the newest tick; a new one only when something was captured since the last.
   * Whoever committed before the call is inside. Durable before it returns. Concurrent calls may share one tick. `seen` is always as
   * of now: without a new capture, the newest tick and now hold the same changes. Throws `DATABASE_PUT_BACK` (retry), once, where ticks that were told are gone.
   */
  tick(options?: TickOptions): Promise<Tick>;

  /**
   * Resolves when something may be in the log after `after` (a tick that another reader made counts), or the signal aborts.
   * Never later than 20 ms after a commit under light load; costs next to nothing while nothing happens. May resolve without news.
   *
   * `of`: a reader who can be left waiting by what is not for it. Answers the position up to which nothing is; `after`, where that is not known.
   */
  news(after: Position, signal: AbortSignal, of?: NewsOf): Promise<Position>;

  /**
   * The changes of `tables` in (after, upTo], in an order in which they can be replayed; each exactly once, whatever the
   * interleaving of the transactions that made them. Not folded. Back-pressured: nothing is read ahead beyond one group.
   * `Change.table` is the index into `tables` of the request. Throws `POSITION_UNKNOWN` (operator) when the log no longer reaches back to `after`.
   */
  read(request: ReadRequest): AsyncIterable<readonly Change[]>;

  /** Shapes of `tables` as they were last installed: what the log's images are of. Throws `TABLE_NOT_CAPTURED` (operator) for one that is not captured. */
  shapes(tables: readonly TableName[]): Promise<readonly TableShape[]>;

  /** The peer has durably applied everything up to `position` of these channels: the log below may go, once all peers are past it. Throws what `AcknowledgeOptions` say. */
  acknowledge(
    peer: NodeName,
    channels: readonly ChannelName[],
    position: Position,
    packet: PacketNumber,
    options?: AcknowledgeOptions,
  ): Promise<void>;

  /** Removes at once what no reader needs any more; else that happens by itself, little by little. */
  purge(): Promise<void>;

  /**
   * Holds the log to its limits: children that are further behind are marked `must_resync`, and then what only they needed may go. Their own unsent changes are in
   * their logs, and are not touched. Answers who was marked.
   */
  retain(limits: Retention): Promise<readonly LeftBehind[]>;

  /** Puts the rows as they are now (or their absence) into the log as refreshes for one reader; keys as this node's changes gave them. */
  refresh(reader: NodeName, rows: readonly { readonly table: TableName; readonly key: RowText }[]): Promise<void>;
}
