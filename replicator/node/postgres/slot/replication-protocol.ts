import { TomboloError } from "../../../change/error.ts";
import { type Lsn, lsn } from "./lsn.ts";

/** What a walsender sends inside of COPY BOTH. */
export type ReplicationMessage =
  /** One message of the output plugin; `data` is a view into what the socket brought. */
  | { readonly kind: "data"; readonly data: Buffer }
  /** `end`: the server has decoded everything up to there, and sent what it found. */
  | { readonly kind: "keepalive"; readonly end: Lsn; readonly replyNow: boolean };

const DATA = "w".charCodeAt(0);
const KEEPALIVE = "k".charCodeAt(0);
const STATUS = "r".charCodeAt(0);
/** Microseconds from 1970 to 2000. */
const EPOCH_US = 946_684_800_000_000n;

export function parseReplication(bytes: Buffer): ReplicationMessage {
  if (bytes[0] === DATA && bytes.length > 25) return { kind: "data", data: bytes.subarray(25) };
  if (bytes[0] === KEEPALIVE && bytes.length === 18) {
    return { kind: "keepalive", end: lsn(bytes.readBigUInt64BE(1)), replyNow: bytes[17] === 1 };
  }
  throw new TomboloError(`the replication stream holds a message of kind ${bytes[0]} with ${bytes.length} bytes`, {
    code: "SLOT_PROTOCOL",
    kind: "operator",
    hint: "Something between Tombolo and the server changes the replication protocol: connect directly.",
  });
}

/**
 * A standby status update. `received` is only what has come; `flushed` is what will never be asked for again: the exact end of the last
 * transaction that is durable in the change log. (One byte more, and the server leaves out a commit that begins right there.)
 */
export function statusUpdate(status: { readonly received: Lsn; readonly flushed: Lsn; readonly nowMs: number }): Buffer {
  const bytes = Buffer.allocUnsafe(34);
  bytes[0] = STATUS;
  bytes.writeBigUInt64BE(status.received, 1);
  bytes.writeBigUInt64BE(status.flushed, 9);
  bytes.writeBigUInt64BE(status.flushed, 17);
  bytes.writeBigInt64BE(BigInt(Math.round(status.nowMs * 1000)) - EPOCH_US, 25);
  bytes[33] = 0;
  return bytes;
}
