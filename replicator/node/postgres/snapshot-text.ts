/** A pg_snapshot as Postgres prints it: `xmin:xmax:xip,xip,…`, 64-bit transaction numbers. */
export interface Snapshot {
  readonly xmax: bigint;
  /** Transactions below xmax that were still open. */
  readonly open: readonly bigint[];
}

export function parseSnapshot(text: string): Snapshot {
  const [, xmax = "", open = ""] = text.split(":");
  return { xmax: BigInt(xmax), open: open === "" ? [] : open.split(",").map(BigInt) };
}

/**
 * Which transactions became visible between two cuts: those in [from, to), and of `finished` those that `to` shows; each is to
 * be checked against the later snapshot. (PgQ's method: transactions that were open at the first cut may finish any time later.)
 */
export interface Window {
  readonly from: bigint;
  readonly to: bigint;
  readonly finished: readonly bigint[];
}

export function windowBetween(after: Snapshot | null, upTo: Snapshot): Window {
  if (after === null) return { from: 0n, to: upTo.xmax, finished: [] };
  const open = new Set(upTo.open);
  return { from: after.xmax, to: upTo.xmax, finished: after.open.filter((xid) => !open.has(xid)) };
}
