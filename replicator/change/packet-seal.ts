import { createHash } from "node:crypto";
import { TomboloError } from "./error.ts";
import type { Packet, PacketHeader, Part } from "./packet.ts";
import { NODE_LIMITS } from "./packet-limits.ts";
import { headerText, largestOf, partBytes } from "./packet-text.ts";

/**
 * The digest of a packet: SHA-256 over the header's line and every part, each ended by an empty line. The header holds the
 * digest of the packet before it, so the digests make a chain. It does not depend on how the packet is compressed or cut into bytes.
 */
export interface Seal {
  /** The text of a part, as `partBytes` makes it. */
  add(bytes: Buffer): void;
  /** Hex. Ends the seal. */
  close(): string;
}

export function openSeal(header: PacketHeader): Seal {
  const hash = createHash("sha256").update(`${headerText(header)}\n`);
  return {
    add(bytes) {
      hash.update(bytes).update("\n");
    },
    close: () => hash.digest("hex"),
  };
}

/**
 * Makes a packet; its digest is computed while its parts pass. Empty parts are left out. The parts throw `CHANGE_TOO_LARGE` (operator) where no receiver takes one of them:
 * one that is larger than it was to be holds a single change.
 */
export function packet({ header, parts }: { header: PacketHeader; parts: AsyncIterable<Part> }, most = NODE_LIMITS.part): Packet {
  let digest: string | undefined;
  async function* sealed(): AsyncGenerator<Part> {
    const seal = openSeal(header);
    for await (const part of parts) {
      if (part.length === 0) continue;
      seal.add(bytesOf(part, header, most));
      yield part;
    }
    digest = seal.close();
  }
  return { header, parts: once(sealed), digest: () => known(digest) };
}

function bytesOf(part: Part, { tables }: PacketHeader, most: number): Buffer {
  const tooLarge = (cause?: unknown): TomboloError =>
    new TomboloError(
      `a change of ${tables[largestOf(part).table]?.table} is larger than ${most / 2 ** 20} MB, with what the row was before: it cannot travel`,
      {
        code: "CHANGE_TOO_LARGE",
        kind: "operator",
        hint: "Make the row smaller, or `exclude` the column; then `tombolo nodes resync` passes over what the log holds of it (`--direction push` where the child wrote it).",
        cause,
      },
    );
  let bytes: Buffer;
  try {
    bytes = partBytes(part);
  } catch (error) {
    // no string is that long
    throw error instanceof RangeError ? tooLarge(error) : error;
  }
  if (bytes.length > most) throw tooLarge();
  return bytes;
}

/** An iterable that throws when it is asked for a second time, instead of looking empty. */
export function once<T>(start: () => AsyncIterator<T>): AsyncIterable<T> {
  let started = false;
  return {
    [Symbol.asyncIterator]() {
      if (started) throw new TomboloError("The parts of a packet were read twice.", { code: "PACKET_CONSUMED", kind: "fatal" });
      started = true;
      return start();
    },
  };
}

/** Throws `PACKET_UNREAD` (fatal) while the digest is not known. */
export function known(digest: string | undefined): string {
  if (digest !== undefined) return digest;
  throw new TomboloError("The digest of a packet is known once its parts have been read.", { code: "PACKET_UNREAD", kind: "fatal" });
}
