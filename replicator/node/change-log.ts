import type { Change } from "../change/change.ts";
import type { ChannelName, NodeName, PacketNumber, Position, TableName } from "../change/names.ts";
import type { TableShape } from "../change/shape.ts";
import type { RowText } from "../change/value.ts";

/** A sealed cut of a change log. Everything up to it survives a crash of the database. */
export interface Tick {
  readonly position: Position;
  /** Per peer and channel: how much of the peer's log this node had applied at the cut (see `PacketHeader.seen`). */
  readonly seen: { readonly [peer: string]: { readonly [channel: string]: Position } };
}

export interface ReadRequest {
  /**
   * Who reads: what came from this peer is left out (no echo), refreshes meant for it are put in.
   *
   * A reader's own changes never come back, although another's change that its own has since replaced may then be the last that it
   * hears: a child recognises that case and asks for the row (see `Target.apply`; `test/unit/judge-simulation.test.ts` shows the need and the cure).
   */
  readonly reader: NodeName;
  readonly tables: readonly TableName[];
  /** Exclusive. */
  readonly after: Position;
  /** Inclusive; the position of a tick. */
  readonly upTo: Position;
  /** A group never holds more than this. */
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** The change log of one node, as its readers see it. */
export interface ChangeLog {
  /**
   * Seals what has been committed and answers the newest tick; a new one only when something was captured since the last.
   * Whoever committed before the call is inside. Durable before it returns. Concurrent calls may share one tick. `seen` is always as
   * of now: without a new capture, the newest tick and now hold the same changes.
   */
  tick(): Promise<Tick>;

  /**
   * Resolves when something may be in the log after `after` (a tick that another reader made counts), or the signal aborts.
   * Never later than 20 ms after a commit under light load; costs next to nothing while nothing happens. May resolve without news.
   */
  news(after: Position, signal: AbortSignal): Promise<void>;

  /**
   * The changes of `tables` in (after, upTo], in an order in which they can be replayed; each exactly once, whatever the
   * interleaving of the transactions that made them. Not folded. Back-pressured: nothing is read ahead beyond one group.
   * `Change.table` is the index into `tables` of the request. Throws `POSITION_UNKNOWN` (operator) when the log no longer reaches back to `after`.
   */
  read(request: ReadRequest): AsyncIterable<readonly Change[]>;

  /** Shapes of `tables` as they were last installed: what the log's images are of. Throws `TABLE_NOT_CAPTURED` (operator) for one that is not captured. */
  shapes(tables: readonly TableName[]): Promise<readonly TableShape[]>;

  /** The peer has durably applied everything up to `position` of these channels: the log below may go, once all peers are past it. */
  acknowledge(peer: NodeName, channels: readonly ChannelName[], position: Position, packet: PacketNumber): Promise<void>;

  /** Puts the rows as they are now (or their absence) into the log as refreshes for one reader; keys as this node's changes gave them. */
  refresh(reader: NodeName, rows: readonly { readonly table: TableName; readonly key: RowText }[]): Promise<void>;
}
