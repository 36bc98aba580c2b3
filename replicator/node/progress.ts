import { type ChannelName, channelName, type Position, position, type TableName, tableName } from "../change/names.ts";
import type { PacketHeader } from "../change/packet.ts";
import type { ChannelProgress } from "./target.ts";

/**
 * How far each channel of a peer has been applied, as both engines store it: `{"sales": {"position": "123", "sealed": "1764460800000000", "ahead": {"shop.new": "140"}}}`.
 * `sealed`: `Tick.sealedAs` of the position, where it is known.
 */
export interface StoredProgress {
  [channel: string]: { position: string; sealed?: string; ahead?: { [table: string]: string } };
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

/** The end of a packet. */
export type UpTo = Pick<PacketHeader, "upTo" | "sealedAs">;

/** Progress after everything of `channels` up to there was applied. */
export function advanced(stored: StoredProgress, channels: readonly ChannelName[], to: UpTo): StoredProgress {
  const next: StoredProgress = { ...stored };
  for (const channel of channels) {
    const ahead = Object.fromEntries(Object.entries(next[channel]?.ahead ?? {}).filter(([, place]) => BigInt(place) > to.upTo));
    next[channel] = { ...placeOf(to), ...(Object.keys(ahead).length > 0 && { ahead }) };
  }
  return next;
}

/** Progress after all tables of a channel were taken over as they are there. */
export const startedAnew = (stored: StoredProgress, channel: ChannelName, at: UpTo): StoredProgress => ({
  ...stored,
  [channel]: placeOf(at),
});

/** Progress after `tables` of a channel were taken over as they are there: a new channel begins there; in an older one they are ahead. */
export function started(stored: StoredProgress, channel: ChannelName, tables: readonly TableName[], at: UpTo): StoredProgress {
  const known = stored[channel];
  if (known === undefined) return startedAnew(stored, channel, at);
  const ahead = { ...known.ahead };
  for (const table of tables) if (at.upTo > BigInt(known.position)) ahead[table] = at.upTo.toString();
  const { ahead: _, ...place } = known;
  return { ...stored, [channel]: { ...place, ...(Object.keys(ahead).length > 0 && { ahead }) } };
}

const placeOf = ({ upTo, sealedAs }: UpTo): StoredProgress[string] => ({
  position: upTo.toString(),
  ...(sealedAs !== undefined && { sealed: sealedAs }),
});

/** Of the stored channels, `Tick.sealedAs` of where they are. */
export const sealedIn = (stored: StoredProgress): ReadonlyMap<ChannelName, string> =>
  new Map(
    Object.entries(stored).flatMap(([channel, { sealed }]) => (sealed === undefined ? [] : [[channelName(channel), sealed] as const])),
  );
