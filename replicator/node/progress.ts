import { type ChannelName, channelName, type Position, position, type TableName, tableName } from "../change/names.ts";
import type { ChannelProgress } from "./target.ts";

/** How far each channel of a peer has been applied, as both engines store it: `{"sales": {"position": "123", "ahead": {"shop.new": "140"}}}`. */
export interface StoredProgress {
  [channel: string]: { position: string; ahead?: { [table: string]: string } };
}

export function progressMap(stored: StoredProgress): Map<ChannelName, ChannelProgress> {
  return new Map(
    Object.entries(stored).map(([channel, { position: at, ahead = {} }]) => [
      channelName(channel),
      { position: position(at), ahead: new Map(Object.entries(ahead).map(([table, place]) => [tableName(table), position(place)])) },
    ]),
  );
}

/** `PacketHeader.seen` as both engines store it: `{"sales": "123"}`. */
export const storedSeen = (text: string): { readonly [channel: string]: Position } =>
  Object.fromEntries(Object.entries(JSON.parse(text) as { [channel: string]: string }).map(([channel, at]) => [channel, position(at)]));

/** Progress after everything of `channels` up to `upTo` was applied. */
export function advanced(stored: StoredProgress, channels: readonly ChannelName[], upTo: Position): StoredProgress {
  const next: StoredProgress = { ...stored };
  for (const channel of channels) {
    const ahead = Object.fromEntries(Object.entries(next[channel]?.ahead ?? {}).filter(([, place]) => BigInt(place) > upTo));
    next[channel] = { position: upTo.toString(), ...(Object.keys(ahead).length > 0 && { ahead }) };
  }
  return next;
}

/** Progress after all tables of a channel were taken over as they are at `at`. */
export const startedAnew = (stored: StoredProgress, channel: ChannelName, at: Position): StoredProgress => ({
  ...stored,
  [channel]: { position: at.toString() },
});

/** Progress after `tables` of a channel were taken over as they are at `at`: a new channel begins there; in an older one they are ahead. */
export function started(stored: StoredProgress, channel: ChannelName, tables: readonly TableName[], at: Position): StoredProgress {
  const known = stored[channel];
  if (known === undefined) return { ...stored, [channel]: { position: at.toString() } };
  const ahead = { ...known.ahead };
  for (const table of tables) if (at > BigInt(known.position)) ahead[table] = at.toString();
  return { ...stored, [channel]: { position: known.position, ...(Object.keys(ahead).length > 0 && { ahead }) } };
}
