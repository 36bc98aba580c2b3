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

/** One part in so many is compressed. Measuring every part took a tenth of the processor time of the whole replicator. */
const SAMPLE_EVERY = 8;
/** How much of what was measured before still counts when a part is measured. */
const MEMORY = 0.75;

/** How well parts have been compressing; kept from packet to packet of one link. */
export class CompressionSample {
  #parts = 0;
  #raw = 0;
  #compressed = 0;

  /** Whether a part of so many bytes is to be measured: in turn, or because what was measured is too small to say anything about it. */
  wants(bytes: number): boolean {
    return this.#parts++ % SAMPLE_EVERY === 0 || bytes > 2 * this.#raw;
  }

  /** Large parts tell more than small ones, which hardly compress. */
  measured(raw: number, compressed: number): void {
    this.#raw = this.#raw * MEMORY + raw;
    this.#compressed = this.#compressed * MEMORY + compressed;
  }

  /** Compressed bytes per raw byte. */
  get ratio(): number {
    return this.#raw === 0 ? 1 : this.#compressed / this.#raw;
  }
}

/**
 * Compresses a sample of the parts beside their consumer, off the main thread, only to know how large they would be: between two databases that
 * this process can reach, nothing is sent. `compressed` is estimated from the parts that were measured, `raw` is exact. At most one part is in
 * flight, so a consumer that is faster than the compression waits for that one.
 */
export function meteredPacket(packet: Packet, codec: Codec, sample = new CompressionSample()): MeteredPacket {
  const sizes: PacketSizes = { raw: 0, compressed: 0 };
  let inFlight: Promise<void> = Promise.resolve();

  async function measure(raw: Buffer): Promise<void> {
    sizes.raw += raw.length;
    if (!sample.wants(raw.length)) {
      sizes.compressed += Math.round(raw.length * sample.ratio);
      return;
    }
    // a part that cannot be compressed (no memory for it) goes through all the same
    const length = await compress(raw, codec).then(
      (packed) => packed.bytes.length,
      () => raw.length,
    );
    sample.measured(raw.length, length);
    sizes.compressed += length;
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
