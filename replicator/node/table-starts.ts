import { type ChannelName, type NodeName, type Position, START, type TableName } from "../change/names.ts";
import { forked } from "./forked.ts";
import type { PeerMarks } from "./rejoin.ts";
import type { PeerState } from "./target.ts";

/** Where the tables of a channel begin in the log of their source. */
export interface TableStarts {
  readonly channel: ChannelName;
  readonly tables: readonly TableName[];
}

/**
 * A node answers from where on its log tells of a table once and for all, so only a copy of it says something else: what lies between the two would be
 * passed over. `state` is what the receiving side has of `source`. Throws `PACKET_FORK` (operator).
 */
export function mustStartOnce(source: NodeName, state: PeerState, { channel, tables, at }: TableStarts & { readonly at: Position }): void {
  for (const table of tables) {
    const begun = startOf(state, channel, table);
    // what a packet has been applied of since is no longer where it began; and a full sync that came second begins with all of the log
    if (begun === null || at === begun || (at < begun && (state.number > 0n || at === START))) continue;
    throw forked(`${source} starts ${table} at ${at} of its log, and has started it at ${begun} before`);
  }
}

/**
 * Until the first packet, only from where on its tables are read tells whether it was this database that began, or a copy of it. `state` is what the other side says
 * that it has of `source`, whose own `marks` of it these are. Throws `PACKET_FORK` (operator).
 */
export function mustHaveStarted(source: NodeName, state: PeerState, marks: PeerMarks, { channel, tables }: TableStarts): void {
  if (state.number > 0n || marks.sent.has(channel)) return;
  // a full sync begins with all of the log
  const otherwise = marks.receivedPacket > 0n ? START : null;
  for (const table of tables) {
    const begun = startOf(state, channel, table);
    const own = marks.seeded.get(table) ?? otherwise;
    if (begun === null || (own !== null && begun <= own)) continue;
    throw forked(`${table} was started at ${begun} of the log of ${source}, and not by this database`);
  }
}

/** Null for a table that was not started. */
function startOf({ tables, channels }: PeerState, channel: ChannelName, table: TableName): Position | null {
  const progress = channels.get(channel);
  return progress === undefined || !tables.has(table) ? null : (progress.ahead.get(table) ?? progress.position);
}
