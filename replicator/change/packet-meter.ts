import type { Packet, Part } from "./packet.ts";
import { type Codec, compress, type PacketSizes } from "./packet-compression.ts";
import { once } from "./packet-seal.ts";
import { partBytes } from "./packet-text.ts";

/** A packet that is handed on as it is, with what it would take on a wire. */
export interface MeteredPacket {
  readonly packet: Packet;
  /** Resolves once the parts have been consumed and the last of them is measured, or the consumer has stopped. */
  sizes(): Promise<PacketSizes>;
}

/**
 * Compresses the parts beside their consumer, off the main thread, only to know how large they are: between two databases that
 * this process can reach, nothing is sent. At most one part is in flight, so a consumer that is faster than the compression waits for that one.
 */
export function meteredPacket(packet: Packet, codec: Codec): MeteredPacket {
  const sizes: PacketSizes = { raw: 0, compressed: 0 };
  let inFlight: Promise<void> = Promise.resolve();

  async function measure(raw: Buffer): Promise<void> {
    sizes.raw += raw.length;
    // a part that cannot be compressed (no memory for it) goes through all the same
    sizes.compressed += await compress(raw, codec).then(
      (packed) => packed.bytes.length,
      () => raw.length,
    );
  }

  async function* passing(): AsyncGenerator<Part> {
    for await (const part of packet.parts) {
      await inFlight;
      inFlight = measure(partBytes(part));
      yield part;
    }
  }

  return {
    packet: { header: packet.header, parts: once(passing), digest: () => packet.digest() },
    async sizes() {
      await inFlight;
      return { ...sizes };
    },
  };
}
