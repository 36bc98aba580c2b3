import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { type NodeName, type Position, position } from "../../change/names.ts";
import type { Receipt } from "../../change/packet.ts";
import type { StoredProgress } from "../progress.ts";

/** What the applying transaction knows of the peer once it holds its row. */
export interface LockedPeer {
  readonly id: number;
  readonly epoch: string | null;
  readonly number: bigint;
  readonly digest: string;
  readonly receipt: string | null;
  readonly received: StoredProgress;
  readonly forwards: boolean;
  readonly hasParked: boolean;
  /** Scopes are kept for it. */
  readonly limited: boolean;
}

/** The receipt of the last packet, as it is kept. */
export interface StoredReceipt extends Omit<Receipt, "number"> {
  readonly number: string;
  /** `PacketHeader.seen` of the last packet about each channel. */
  readonly seen: { readonly [channel: string]: string };
}

/** Locks the peer's row, and marks this transaction as the applier's. Asked before it returns. Throws `PEER_UNKNOWN` (retry). */
export async function lockPeer(client: pg.ClientBase, name: NodeName): Promise<LockedPeer> {
  const { rows } = await client.query<{ [column: string]: string | null }>({
    name: "tombolo_lock_peer",
    text: `update tombolo.peer set apply_xid = pg_current_xact_id() where name = $1
      returning id, epoch, received_packet_no, received_digest, received_receipt::text as receipt, received::text as received, forwards,
                exists (select from tombolo.parked_change c where c.peer_id = peer.id) as has_parked,
                exists (select from tombolo.scope s where s.peer_id = peer.id and s.filter <> '') as limited`,
    values: [name],
  });
  const [row] = rows;
  if (row === undefined) {
    throw new TomboloError(`${name} is not known here as a neighbour`, {
      code: "PEER_UNKNOWN",
      kind: "retry",
      hint: "it is introduced when the link starts",
    });
  }
  return {
    id: Number(row.id),
    epoch: row.epoch ?? null,
    number: BigInt(row.received_packet_no as string),
    digest: row.received_digest as string,
    receipt: row.receipt ?? null,
    received: JSON.parse(row.received as string) as StoredProgress,
    forwards: row.forwards === "t",
    hasParked: row.has_parked === "t",
    limited: row.limited === "t",
  };
}

/** `PacketHeader.seen` of the last packet about each channel. */
export function lastSeen(peer: Pick<LockedPeer, "receipt">): { [channel: string]: Position } {
  const { seen } = JSON.parse(peer.receipt ?? '{"seen":{}}') as StoredReceipt;
  return Object.fromEntries(Object.entries(seen).map(([channel, at]) => [channel, position(at)]));
}
