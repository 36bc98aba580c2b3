import type pg from "pg";
import type { NodeName } from "../../change/names.ts";
import type { PacketHeader } from "../../change/packet.ts";
import type { PreparedPart } from "./apply-part.ts";
import { AtOnce, type Speaker } from "./at-once.ts";
import type { ChangeSet } from "./fast-path.ts";
import type { IncomingTable } from "./incoming.ts";
import { type LockedPeer, lastSeen } from "./locked-peer.ts";

/** A packet of which the beginning has been read. */
export interface Lead {
  /** What can be said in one go (see `AtOnce`), where the packet is so small that this is all of it. */
  readonly sets: readonly ChangeSet[] | null;
  readonly parts: AsyncIterable<PreparedPart>;
}

/** Reads a first part, and where that is small looks whether there is another. `iterator` is the caller's to end. */
export async function leadOf(iterator: AsyncIterator<PreparedPart>): Promise<Lead> {
  const first = await iterator.next();
  const [segment, ...segments] = first.done === true ? [] : first.value;
  const plain = segment !== undefined && segments.length === 0 && segment.truncate === null && segment.misfits.length === 0;
  const second = plain && segment.group.length <= AtOnce.MOST ? await iterator.next() : undefined;
  return {
    sets: plain && second?.done === true ? segment.sets : null,
    parts: following(iterator, first, second),
  };
}

/** Of a packet whose parts must not be read yet. */
export const unread = (iterator: AsyncIterator<PreparedPart>): Lead => ({ sets: null, parts: following(iterator) });

async function* following(
  iterator: AsyncIterator<PreparedPart>,
  ...read: readonly (IteratorResult<PreparedPart> | undefined)[]
): AsyncGenerator<PreparedPart> {
  for (const next of read) {
    if (next?.done === true) return;
    if (next !== undefined) yield next.value;
  }
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}

/**
 * Neighbours as the last packet left them. By that a small packet is applied before the peer's row has been seen: in one message with the statement that
 * locks it. When the row then turns out not to be what was expected, the packet's changes are taken back, and it is gone through as any other.
 */
export class Foresight {
  readonly #known = new Map<NodeName, LockedPeer>();

  expect(name: NodeName, peer: LockedPeer): void {
    this.#known.set(name, peer);
  }

  forget(name: NodeName): void {
    this.#known.delete(name);
  }

  /** How the peer's row will be found; null where that is not known, or something of it would have to be looked at first. */
  of(header: PacketHeader, tables: readonly IncomingTable[]): LockedPeer | null {
    const peer = this.#known.get(header.source);
    if (peer === undefined || header.kind !== "changes" || peer.hasParked || peer.limited) return null;
    if (header.number !== peer.number + 1n || header.previous !== peer.digest || header.epoch !== peer.epoch) return null;
    const before = lastSeen(peer);
    const told = tables.some(({ rule }) => rule.oneWay !== true && (before[rule.channel] ?? 0n) < (header.seen[rule.channel] ?? 0n));
    return told ? null : peer;
  }
}

export const isAsExpected = (peer: LockedPeer, expected: LockedPeer): boolean =>
  peer.id === expected.id &&
  peer.epoch === expected.epoch &&
  peer.number === expected.number &&
  peer.digest === expected.digest &&
  peer.forwards === expected.forwards &&
  !peer.hasParked &&
  !peer.limited;

/** How what is said ahead of the lock is said. */
export type Saying = (client: pg.ClientBase) => AtOnce;

export const sayingOf =
  (speaker: Omit<Speaker, "client">, sets: readonly ChangeSet[]): Saying =>
  (client) =>
    new AtOnce({ ...speaker, client }, sets);
