/** What a reader of packets takes from a stranger. Checked before anything of that size is held in memory. */
export interface PacketLimits {
  /** Bytes as sent, of the whole packet. */
  readonly compressed: number;
  /** Bytes after decompressing, of the whole packet. */
  readonly raw: number;
  /** How many times larger a part may become by decompressing. */
  readonly ratio: number;
  /** Changes in the packet. */
  readonly rows: number;
  /** Levels of brackets in the header or in a row. */
  readonly depth: number;
}

export const PACKET_LIMITS: PacketLimits = { compressed: 8 * 2 ** 20, raw: 64 * 2 ** 20, ratio: 100, rows: 100_000, depth: 32 };
