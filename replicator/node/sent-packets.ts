import type { NodeName, PacketNumber } from "../change/names.ts";
import { forked } from "./forked.ts";

/** A packet that was handed on to a peer: it may have arrived, or not. */
export interface SentPacket {
  readonly number: bigint;
  readonly digest: string;
}

/** Stands for the digest of a packet that the peer is to make itself: the hand-over of a full sync. */
export const ANY_DIGEST = "*";

/**
 * What a node has handed on to peers that it cannot look into. A peer says which packet it applied last: one that this node never made tells that
 * two databases act as one node (a copy of the file), or that one of the two was put back to an earlier day.
 */
export interface SentPackets {
  /** Before the packet's end is handed on, so that the peer cannot know of a packet that is not noted. Durable before it returns. */
  note(peer: NodeName, packet: { readonly number: PacketNumber; readonly digest: string }): Promise<void>;
  /** The peer says that it applied this one last (0 and "" for none): those before it are forgotten. Throws `PACKET_FORK` (operator). */
  confirm(peer: NodeName, packet: { readonly number: PacketNumber; readonly digest: string }): Promise<void>;
}

/**
 * Whether `said` can be what the peer applied last. `noted` are the packets handed on since the last that it confirmed, with that one: none before the
 * first contact, or where the peer was reached directly until now; then `acknowledged` is the last packet that is known to have arrived (0 for none). Throws `PACKET_FORK`.
 */
export function checkConfirmed(
  peer: NodeName,
  said: SentPacket,
  { noted, acknowledged }: { readonly noted: readonly SentPacket[]; readonly acknowledged: bigint },
): "new" | "known" {
  if (noted.length === 0 && (said.number === 0n || acknowledged > 0n)) return "new";
  if (noted.some(({ number, digest }) => number === said.number && digest === said.digest)) return "known";
  if (noted.some(({ number, digest }) => number === said.number && digest === ANY_DIGEST)) return "new";
  const what =
    noted.length > 0 && noted.every(({ number }) => number > said.number)
      ? `has gone back to packet ${said.number}, after it confirmed a later one`
      : `has applied packet ${said.number} in a form that was never sent from here`;
  throw forked(`${peer} ${what}`);
}
