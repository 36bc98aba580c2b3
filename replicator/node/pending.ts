/** What is pending is counted up to this many changes, of all places together: status must stay cheap whatever the backlog, and however many peers there are. */
export const COUNTED_CHANGES = 100_000;
/** Of one place, however many there are. */
export const COUNTED_AT_LEAST = 1_000;

export const countedAtPlace = (places: number): number => Math.max(COUNTED_AT_LEAST, Math.floor(COUNTED_CHANGES / Math.max(1, places)));

/** Changes of a channel behind a position of the log: those that came from one peer, or are for one alone. Of peers, ids. */
export interface ChangesBehind {
  readonly channel: string;
  readonly position: string;
  /** Null for what was written here. */
  readonly origin: number | null;
  /** Null for what is for all. */
  readonly target: number | null;
  readonly changes: number;
  /** Microseconds since 1970. */
  readonly oldest: number | null;
}

/** A position that some peer has acknowledged, of a channel. */
export interface AcknowledgedPlace {
  readonly channel: string;
  readonly position: string;
  /** How many numbers the log has given since then: of all channels, and some of them perhaps for nothing. */
  readonly numbers: number;
}

export interface Pending {
  /** Null for a peer that has acknowledged nothing at all. */
  readonly changes: number | null;
  /** When the oldest was made, microseconds since 1970; null where nothing is pending. */
  readonly oldest: number | null;
}

interface Place {
  changes: number;
  counted: number;
  readonly common: ChangesBehind[];
  readonly byOrigin: Map<number, ChangesBehind>;
  readonly byTarget: Map<number, ChangesBehind[]>;
}

const placeOf = (channel: string, position: string): string => `${position} ${channel}`;

/**
 * Answers, for a peer that has acknowledged these positions, what is pending: not what it sent itself, and of what is for one peer only its own. Many peers
 * stand at the same place, and the log behind it is counted once for all of them. Where counting ended before the log did, it is an estimate; with `whole` it did not.
 */
export function pendingBy(
  behind: readonly ChangesBehind[],
  acknowledgedPlaces: readonly AcknowledgedPlace[],
  whole = false,
): (peer: number, sent: { readonly [channel: string]: string }) => Pending {
  const places = new Map<string, Place>();
  for (const one of behind) {
    const id = placeOf(one.channel, one.position);
    const place: Place = places.get(id) ?? { changes: 0, counted: 0, common: [], byOrigin: new Map(), byTarget: new Map() };
    places.set(id, place);
    place.counted += one.changes;
    if (one.target !== null) {
      place.byTarget.set(one.target, [...(place.byTarget.get(one.target) ?? []), one]);
      continue;
    }
    place.changes += one.changes;
    place.common.push(one);
    if (one.origin !== null) place.byOrigin.set(one.origin, one);
  }
  for (const { common } of places.values()) common.sort((a, b) => (a.oldest ?? 0) - (b.oldest ?? 0));
  const limit = countedAtPlace(acknowledgedPlaces.length);
  for (const { channel, position, numbers } of acknowledgedPlaces) {
    const place = places.get(placeOf(channel, position));
    if (!whole && place !== undefined && place.counted >= limit) place.changes = Math.max(place.changes, numbers);
  }
  return (peer, sent) => {
    const acknowledged = Object.entries(sent);
    if (acknowledged.length === 0) return { changes: null, oldest: null };
    let changes = 0;
    let oldest: number | null = null;
    for (const [channel, position] of acknowledged) {
      const place = places.get(placeOf(channel, position));
      if (place === undefined) continue;
      const own = place.byTarget.get(peer) ?? [];
      changes += place.changes - (place.byOrigin.get(peer)?.changes ?? 0) + own.reduce((sum, one) => sum + one.changes, 0);
      const first = place.common.find(({ origin }) => origin !== peer);
      for (const { oldest: at } of first === undefined ? own : [first, ...own])
        if (at !== null && (oldest === null || at < oldest)) oldest = at;
    }
    return { changes, oldest };
  };
}
