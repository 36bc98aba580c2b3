/** The versions of the packet's form that this version reads and writes. */
export const PACKET_PROTOCOLS = { oldest: 1, newest: 1 } as const;

/** What a reader of packets takes from a stranger. Checked before anything of that size is held in memory. */
export interface PacketLimits {
  /** Bytes as sent, of the whole packet. */
  readonly compressed: number;
  /** Bytes after decompressing, of the whole packet. */
  readonly raw: number;
  /** Bytes of one part, as sent and after decompressing: a reader holds it whole. */
  readonly part: number;
  /** How many times larger a part may become by decompressing. */
  readonly ratio: number;
  /** Changes in the packet. */
  readonly rows: number;
  /** Levels of brackets in the header or in a row. */
  readonly depth: number;
}

export const PACKET_LIMITS: PacketLimits = {
  compressed: 8 * 2 ** 20,
  raw: 64 * 2 ** 20,
  part: 64 * 2 ** 20,
  ratio: 100,
  rows: 100_000,
  depth: 32,
};

/**
 * What is taken from a node whose credential was checked. A packet is one transaction: the first fill of a table, or all that was written in days
 * offline; so it may be large, but no part of it may.
 */
export const NODE_LIMITS: PacketLimits = { ...PACKET_LIMITS, compressed: 2 ** 30, raw: 2 ** 34, part: 2 ** 28, rows: 100_000_000 };
