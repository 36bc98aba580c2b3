import { TomboloError } from "../change/error.ts";
import { packetNumber } from "../change/names.ts";
import type { Packet, Receipt } from "../change/packet.ts";
import { forked } from "./forked.ts";

/** What a node remembers of the last packet from a peer, as read by the transaction that holds the peer's row. */
export interface LastPacket {
  readonly epoch: string | null;
  readonly number: bigint;
  readonly digest: string;
  /** JSON; null before the first. */
  readonly receipt: string | null;
}

/**
 * Exactly once: null for the packet that comes next, the stored receipt for the one applied last; throws for any other (see
 * `Target.apply`). `rest` are the parts that nobody has read yet.
 */
export async function guard(last: LastPacket, packet: Packet, rest: AsyncIterable<unknown>): Promise<Receipt | null> {
  const { header } = packet;
  if (last.epoch !== null && last.epoch !== header.epoch) {
    throw new TomboloError(`${header.source} is not the node it was: its epoch changed`, {
      code: "PEER_EPOCH",
      kind: "operator",
      hint: `it was restored, cloned or re-created; compare the data, then run \`tombolo nodes resync ${header.source}\``,
    });
  }
  if (header.number === last.number + 1n && header.previous === last.digest) return null;
  if (header.number === last.number && last.receipt !== null) {
    // the digest is known at the end of the packet
    for await (const part of rest) void part;
    if (packet.digest() === last.digest) return { ...readReceipt(last.receipt), duplicate: true };
  }
  if (header.number > last.number + 1n || header.number < last.number) {
    throw new TomboloError(`packet ${header.number} from ${header.source}: expected ${last.number + 1n}`, {
      code: "PACKET_GAP",
      kind: "retry",
    });
  }
  throw forked(`packet ${header.number} from ${header.source} does not continue what was received before`);
}

/** A node may store more beside the receipt (`seen`): that is not part of the answer. */
function readReceipt(stored: string): Receipt {
  const { seen: _, ...receipt } = JSON.parse(stored) as Receipt & { readonly number: string; readonly seen?: unknown };
  return { ...receipt, number: packetNumber(receipt.number) };
}
